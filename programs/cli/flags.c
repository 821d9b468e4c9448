/* SPDX-License-Identifier: Apache-2.0
 * Arguments to values, by the command's flag tables: --flag=value, --flag value, -k5, -k 5, bundled letters (-l0), --no-x,
 * "--" before operands that begin with a dash; "-" is an operand. Flags and operands may be mixed, and the last of
 * repeated flags wins. */
#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "cli.h"

const cli_flag cli_common_flags[] = {
    /* color is the first: set_value knows it by its place */
    {"color", 0, CLI_CHOICE, "auto|always|never", "colour the output; auto: on a terminal (NO_COLOR, TERM=dumb)", 0, 0},
    {"quiet", 'q', CLI_SWITCH, NULL, "no notes and no progress, errors only", 0, 0},
    {"verbose", 'v', CLI_SWITCH, NULL, "tell more on standard error", 0, 0},
    {"threads", 0, CLI_COUNT, "N", "threads that compute (default: the CPUs this process may use)", 1, 1024},
    {"cpu", 0, CLI_TEXT, "LIST", "kernels allowed: ref, avx2, avx512, amx, neon, a comma between", 0, 0},
    {"help", 'h', CLI_SWITCH, NULL, "print this help", 0, 0},
    {0},
};

const cli_flag cli_model_flags[] = {
    {"model", 'm', CLI_MODEL, "MODEL", "a Hugging Face id (ORG/NAME, ORG/NAME@REVISION), a short name or a directory",
     0, 0},
    {"max-tokens", 0, CLI_COUNT, "N", "read at most N tokens of a text (default: what the model's files say)", 2,
     1 << 20},
    {"precision", 0, CLI_CHOICE, "auto|f32|bf16|int8|int8w",
     "how the network computes; int8: weights and activations, int8w: weights (default: the store's, else auto: the "
     "fastest that keeps the vectors, as ilk verify or the first ilk index measured; until then f32)",
     0, 0},
    {"no-mmap", 0, CLI_SWITCH, NULL, "read the weights instead of mapping them", 0, 0},
    {"projection", 0, CLI_FILE, "PATH",
     "a linear projection behind the model's vectors, a Dense folder or .safetensors (also: -m 'MODEL#projection=PATH')",
     0, 0},
    {0},
};

const cli_flag cli_store_flags[] = {
    {"store", 0, CLI_DIR, "PATH", "the store (default: the nearest .ilk from the folder upwards)", 0, 0},
    {0},
};

const cli_flag cli_record_flags[] = {
    {"json", 0, CLI_SWITCH, NULL, "print one JSON document", 0, 0},
    {"jsonl", 0, CLI_SWITCH, NULL, "print one JSON record a line", 0, 0},
    {0},
};

const cli_command *cli_command_find(const char *name)
{
    for (size_t i = 0; cli_commands[i]; i++)
        if (strcmp(cli_commands[i]->name, name) == 0)
            return cli_commands[i];
    return NULL;
}

size_t cli_command_flags(const cli_command *command, const cli_flag *flags[CLI_MAX_FLAGS])
{
    size_t n = 0;
    for (size_t t = 0; command->flags && command->flags[t]; t++)
        for (const cli_flag *f = command->flags[t]; f->name; f++)
            flags[n++] = f;
    for (const cli_flag *f = cli_common_flags; f->name; f++)
        flags[n++] = f;
    assert(n <= CLI_MAX_FLAGS);
    return n;
}

void cli_flags_collect(cli *c, const cli_command *command)
{
    c->command = command;
    c->n_flags = cli_command_flags(command, c->flags);
}

bool cli_choice_next(const char **words, const char **word, size_t *n)
{
    if (**words == 0)
        return false;
    *word = *words;
    *n = strcspn(*words, "|");
    *words += *n + ((*words)[*n] == '|');
    return true;
}

bool cli_parse_count(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
    char *end;
    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    *out = v;
    return errno == 0 && *end == 0 && v >= min && v <= max;
}

static bool in_choice(const char *words, const char *text)
{
    const char *word;
    size_t n;
    while (cli_choice_next(&words, &word, &n))
        if (strlen(text) == n && memcmp(word, text, n) == 0)
            return true;
    return false;
}

static bool set_value(cli *c, size_t i, const char *text)
{
    const cli_flag *f = c->flags[i];
    cli_value *v = &c->values[i];
    char *end;
    uint64_t max = f->max ? f->max : UINT32_MAX - 1;
    switch (f->kind) {
    case CLI_COUNT:
        if (!cli_parse_count(text, f->min, max, &v->count)) {
            cli_usage(c, "--%s: expected a whole number from %llu to %llu, found \"%s\"", f->name,
                      (unsigned long long)f->min, (unsigned long long)max, text);
            return false;
        }
        break;
    case CLI_NUMBER:
        v->number = strtod(text, &end);
        if (*text == 0 || *end || !isfinite(v->number)) {
            cli_usage(c, "--%s: expected a number, found \"%s\"", f->name, text);
            return false;
        }
        break;
    case CLI_CHOICE:
        if (!in_choice(f->arg, text)) {
            cli_usage(c, "--%s: expected one of %s, found \"%s\"", f->name, f->arg, text);
            return false;
        }
        break;
    case CLI_MODEL:
    case CLI_LIST:
        if (*text == 0 && f->kind == CLI_MODEL) {
            cli_usage(c, "--%s: expected %s, found nothing", f->name, f->arg);
            return false;
        }
        if (c->n_list == CLI_MAX_LIST) {
            cli_usage(c, "--%s: at most %d of them", f->name, CLI_MAX_LIST);
            return false;
        }
        c->list[c->n_list].flag = f;
        c->list[c->n_list++].text = text;
        break;
    default:
        if (*text == 0 && f->kind != CLI_TEXT) {
            cli_usage(c, "--%s: expected %s, found nothing", f->name, f->arg);
            return false;
        }
        break;
    }
    v->text = text;
    v->on = true;
    if (f == cli_common_flags)
        cli_out_set_color(c, text); /* at once, for messages about what follows */
    return true;
}

/* The flag of a long name of n bytes; *on is false where the name takes a switch back. */
static size_t find_long(const cli *c, const char *name, size_t n, bool *on)
{
    *on = true;
    for (size_t i = 0; i < c->n_flags; i++)
        if (strlen(c->flags[i]->name) == n && memcmp(c->flags[i]->name, name, n) == 0)
            return i;
    *on = false;
    for (size_t i = 0; i < c->n_flags; i++) {
        const char *own = c->flags[i]->name;
        if (c->flags[i]->kind != CLI_SWITCH)
            continue;
        bool off = n > 3 && memcmp(name, "no-", 3) == 0 && strlen(own) == n - 3 && memcmp(own, name + 3, n - 3) == 0;
        bool back = strncmp(own, "no-", 3) == 0 && strlen(own) == n + 3 && memcmp(own + 3, name, n) == 0;
        if (off || back)
            return i;
    }
    return SIZE_MAX;
}

static bool unknown_flag(cli *c, const char *arg, const char *name)
{
    cli_suggestion s = {name, NULL, 0};
    for (size_t i = 0; i < c->n_flags; i++)
        cli_suggest(&s, c->flags[i]->name);
    if (s.best)
        cli_usage(c, "unknown flag \"%s\": did you mean --%s?", arg, s.best);
    else
        cli_usage(c, "unknown flag \"%s\"", arg);
    return false;
}

/* Returns how many arguments were taken, 0 on an error. */
static int parse_long(cli *c, int left, char **argv)
{
    const char *name = argv[0] + 2, *equal = strchr(name, '=');
    size_t n = equal ? (size_t)(equal - name) : strlen(name);
    bool on;
    size_t i = find_long(c, name, n, &on);
    if (i == SIZE_MAX) {
        char word[64] = {0};
        memcpy(word, name, n < sizeof word ? n : sizeof word - 1);
        return unknown_flag(c, argv[0], word);
    }
    if (c->flags[i]->kind == CLI_SWITCH) {
        if (equal) {
            cli_usage(c, "--%s takes no value", c->flags[i]->name);
            return 0;
        }
        c->values[i].on = on;
        c->values[i].text = on ? "yes" : "no";
        return 1;
    }
    if (equal)
        return set_value(c, i, equal + 1);
    if (left < 2) {
        cli_usage(c, "--%s needs a value: %s", c->flags[i]->name, c->flags[i]->arg);
        return 0;
    }
    return set_value(c, i, argv[1]) ? 2 : 0;
}

static int parse_letters(cli *c, int left, char **argv)
{
    for (const char *s = argv[0] + 1; *s; s++) {
        size_t i = 0;
        while (i < c->n_flags && c->flags[i]->letter != *s)
            i++;
        if (i == c->n_flags) {
            size_t n;
            ilki_base_utf8_get(s, strlen(s), &n);
            cli_usage(c, "unknown flag \"-%.*s\"", (int)n, s);
            return 0;
        }
        if (c->flags[i]->kind == CLI_SWITCH) {
            c->values[i].on = true;
            c->values[i].text = "yes";
        } else if (s[1]) {
            return set_value(c, i, s + 1 + (s[1] == '='));
        } else if (left < 2) {
            cli_usage(c, "-%c needs a value: %s", *s, c->flags[i]->arg);
            return 0;
        } else {
            return set_value(c, i, argv[1]) ? 2 : 0;
        }
    }
    return 1;
}

bool cli_flags_parse(cli *c, int argc, char **argv)
{
    const cli_command *command = c->command;
    for (int i = 0; i < argc;) {
        const char *arg = argv[i];
        int taken = 1;
        if (strcmp(arg, "--") == 0) {
            for (i++; i < argc; i++)
                c->operands[c->n_operands++] = argv[i];
            break;
        }
        if (arg[0] == '-' && arg[1] == '-')
            taken = parse_long(c, argc - i, argv + i);
        else if (arg[0] == '-' && arg[1])
            taken = parse_letters(c, argc - i, argv + i);
        else
            c->operands[c->n_operands++] = arg;
        if (taken == 0)
            return false;
        i += taken;
    }
    if (cli_on(c, "help"))
        return true;
    if (c->n_operands < command->min_operands) {
        cli_usage(c, "%s: expected %s", command->name, command->operands);
        return false;
    }
    if (c->n_operands > command->max_operands) {
        cli_usage(c, "%s: one argument too many: \"%s\"", command->name, c->operands[command->max_operands]);
        return false;
    }
    return true;
}

static size_t must_find(const cli *c, const char *name)
{
    for (size_t i = 0; i < c->n_flags; i++)
        if (strcmp(c->flags[i]->name, name) == 0)
            return i;
    assert(!"a flag that is in the command's tables");
    return 0;
}

const char *cli_text(const cli *c, const char *name)
{
    return c->values[must_find(c, name)].text;
}

bool cli_on(const cli *c, const char *name)
{
    return c->values[must_find(c, name)].on;
}

bool cli_given(const cli *c, const char *name)
{
    return c->values[must_find(c, name)].text != NULL;
}

uint64_t cli_count(const cli *c, const char *name, uint64_t otherwise)
{
    const cli_value *v = &c->values[must_find(c, name)];
    return v->text ? v->count : otherwise;
}

double cli_number(const cli *c, const char *name, double otherwise)
{
    const cli_value *v = &c->values[must_find(c, name)];
    return v->text ? v->number : otherwise;
}
