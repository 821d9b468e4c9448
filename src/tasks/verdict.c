/* SPDX-License-Identifier: Apache-2.0
 * The rule of `auto`: functions of figures alone. The bounds are interface's; docs/NUMERICS.md has what precisions reach. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tasks/calibrate.h"

static const double gain = 1.15, attention_gain = 1.02;
static const double deep_nearest = 0.95;
enum {
    TINY_PARAMETERS = 1000000 /* below, a pass is calls and waiting more than products, and clocks decide nothing */
};

bool ilki_tasks_keeps(const ilk_calibration *c, int p, uint32_t n_layers)
{
    bool deep = n_layers > ILKI_SHALLOW_LAYERS;
    return c->tokens_per_second[p] > 0 && c->cosine_mean[p] >= (deep ? 0.998 : 0.999) &&
           c->cosine_least[p] >= (deep ? 0.99 : 0.995) && (!deep || c->nearest_kept[p] >= deep_nearest);
}

static bool keeps_better(const ilk_calibration *c, int a, int b)
{
    if (c->cosine_mean[a] != c->cosine_mean[b])
        return c->cosine_mean[a] > c->cosine_mean[b];
    return c->cosine_least[a] != c->cosine_least[b] ? c->cosine_least[a] > c->cosine_least[b] : a < b;
}

/* The one that keeps best of those worse than `than`; AUTO: there is none. */
static int next_worse(const ilk_calibration *c, int than, uint32_t n_layers)
{
    int best = ILK_PRECISION_AUTO;
    for (int p = ILK_PRECISION_F32 + 1; p < ILK_CALIBRATION_PRECISIONS; p++)
        if (ilki_tasks_keeps(c, p, n_layers) && (than == ILK_PRECISION_F32 || keeps_better(c, than, p)) &&
            (best == ILK_PRECISION_AUTO || keeps_better(c, p, best)))
            best = p;
    return best;
}

static const char *name_of(int p)
{
    return ilk_precision_name((ilk_precision)p);
}

static void say_why(ilk_calibration *c, uint32_t n_layers)
{
    const double *speed = c->tokens_per_second;
    int best = ILK_PRECISION_AUTO, kept = 0;
    if (c->chosen != ILK_PRECISION_F32) {
        snprintf(c->why, sizeof c->why, "%.2f times as fast as f32, cosine to f32 %.5f on average and %.5f at worst",
                 speed[c->chosen] / speed[ILK_PRECISION_F32], c->cosine_mean[c->chosen], c->cosine_least[c->chosen]);
        return;
    }
    for (int p = ILK_PRECISION_F32 + 1; p < ILK_CALIBRATION_PRECISIONS; p++)
        if (ilki_tasks_keeps(c, p, n_layers)) {
            best = best == ILK_PRECISION_AUTO || speed[p] > speed[best] ? p : best;
            kept++;
        }
    if (kept)
        snprintf(c->why, sizeof c->why,
                 "no other that keeps the vectors is 15 %% faster; %s has %.2f times the speed of f32", name_of(best),
                 speed[best] / speed[ILK_PRECISION_F32]);
    else
        snprintf(c->why, sizeof c->why, "no other keeps the vectors near enough");
}

void ilki_tasks_settle(ilk_calibration *c, uint32_t n_layers, uint64_t n_parameters)
{
    c->chosen = ILK_PRECISION_F32;
    if (n_parameters < TINY_PARAMETERS) {
        snprintf(c->why, sizeof c->why, "with less than a million parameters another wins nothing that matters");
        return;
    }
    for (int p = next_worse(c, ILK_PRECISION_F32, n_layers); p != ILK_PRECISION_AUTO; p = next_worse(c, p, n_layers))
        if (c->tokens_per_second[p] >= gain * c->tokens_per_second[c->chosen])
            c->chosen = (ilk_precision)p;
    say_why(c, n_layers);
}

/* Of those measured beside f32 the one with the best cosine. */
static int nearest_measured(const ilk_calibration *c)
{
    int best = ILK_PRECISION_AUTO;
    for (int p = ILK_PRECISION_F32 + 1; p < ILK_CALIBRATION_PRECISIONS; p++)
        if (c->tokens_per_second[p] > 0 && (best == ILK_PRECISION_AUTO || keeps_better(c, p, best)))
            best = p;
    return best;
}

bool ilki_tasks_settle_above(ilk_calibration *c, uint32_t n_layers)
{
    const double *speed = c->tokens_per_second;
    int first = next_worse(c, ILK_PRECISION_F32, n_layers), best = first;
    if (first == ILK_PRECISION_AUTO) {
        best = speed[ILK_PRECISION_INT8W] > 0 ? ILK_PRECISION_INT8W : nearest_measured(c);
        c->chosen = (ilk_precision)best;
        snprintf(c->why, sizeof c->why, "f32 exceeds the memory ceiling, and no other keeps the vectors near enough");
        return best != ILK_PRECISION_AUTO;
    }
    for (int p = next_worse(c, best, n_layers); p != ILK_PRECISION_AUTO; p = next_worse(c, p, n_layers))
        if (speed[p] >= gain * speed[best])
            best = p;
    c->chosen = (ilk_precision)best;
    if (best == first)
        snprintf(
            c->why, sizeof c->why,
            "f32 exceeds the memory ceiling; cosine to f32 %.5f on average and %.5f at worst, and none is 15 %% faster",
            c->cosine_mean[best], c->cosine_least[best]);
    else
        snprintf(
            c->why, sizeof c->why,
            "f32 exceeds the memory ceiling; %.2f times as fast as %s, cosine to f32 %.5f on average and %.5f at worst",
            speed[best] / speed[first], name_of(first), c->cosine_mean[best], c->cosine_least[best]);
    return true;
}

void ilki_tasks_take_paces(ilk_calibration *c, const ilki_pace pace[ILK_CALIBRATION_PRECISIONS])
{
    int base = ILK_PRECISION_AUTO;
    bool calm = true;
    for (int p = ILK_PRECISION_F32; p < ILK_CALIBRATION_PRECISIONS; p++) {
        c->tokens_per_second[p] = pace[p].wall;
        if (!(pace[p].wall > 0))
            continue;
        base = base == ILK_PRECISION_AUTO ? p : base;
        calm &= pace[p].calm;
    }
    for (int p = base + 1; !calm && p < ILK_CALIBRATION_PRECISIONS; p++)
        if (pace[p].wall > 0 && pace[p].cpu > 0 && pace[base].cpu > 0)
            c->tokens_per_second[p] = pace[base].wall * (pace[p].cpu / pace[base].cpu);
}

double ilki_tasks_attention_gain(const ilki_pace *f32, const ilki_pace *bf16)
{
    bool calm = f32->calm && bf16->calm;
    double a = calm ? f32->wall : f32->cpu, b = calm ? bf16->wall : bf16->cpu;
    return a > 0 && b > 0 ? b / a : 0;
}

bool ilki_tasks_attention_pays(double found)
{
    return found >= attention_gain;
}

void ilki_tasks_say_attention(ilk_calibration *c)
{
    size_t n = strlen(c->why);
    ilk_attention form = c->attention[c->chosen];
    const char *name = ilk_attention_name(form);
    if (form == ILK_ATTENTION_AUTO)
        return;
    if (form == ILK_ATTENTION_F32 && !(c->attention_gain > 0))
        snprintf(c->why + n, sizeof c->why - n, "; attention in f32, since bf16 does not keep the vectors");
    else if (c->attention_gain > 0)
        snprintf(c->why + n, sizeof c->why - n,
                 "; attention in %s: long inputs run %.2f times as fast with bf16 as with f32", name,
                 c->attention_gain);
    else
        snprintf(c->why + n, sizeof c->why - n, "; attention in %s", name);
}
