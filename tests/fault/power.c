/* SPDX-License-Identifier: Apache-2.0
 * A scripted life of a store on the faulty file system. Power is lost at every call that changes something, and every
 * call, then every allocation, fails once; after each the store is opened again and must hold exactly what was
 * acknowledged, with the batch that was in flight whole or not at all. */
#include "alloc_count.h"
#include "faulty.h"
#include "random.h"
#include "store_test.h"

enum { N_IDS = 10, N_STEPS = 14, MAX_STATES = N_STEPS + 2 };

/* What a store holds: version of each id (-1: none), and the value of one metadatum. */
typedef struct state {
    int64_t version[N_IDS];
    int64_t meta;
} state;

/* What may be there: the last acknowledged state, and that with one batch more that was not. */
typedef struct oracle {
    state states[MAX_STATES]; /* [0]: before anything */
    size_t n_acked;           /* states[0 .. n_acked] are certain, one after another */
    state maybe[MAX_STATES];
    size_t n_maybe;
    size_t n_synced; /* sync normal: a state that a clean close has made durable */
    bool created;
} oracle;

static void oracle_init(oracle *o)
{
    memset(o, 0, sizeof *o);
    memset(o->states[0].version, 0xff, sizeof o->states[0].version);
    o->states[0].meta = -1;
}

/* Step k of the script: the batch, and the state behind it. Some ids are parts of others, so that deletes spread. */
static void make_step(int k, const state *before, st_batch *b, state *after)
{
    uint64_t rng = (uint64_t)k * 77 + 5;
    bool used[N_IDS] = {0};
    char id[16], parent[16];
    memset(b, 0, sizeof *b);
    *after = *before;
    after->meta = k;
    for (int i = 0; i < 4; i++) {
        size_t x = test_random(&rng) % N_IDS;
        if (used[x])
            continue;
        used[x] = true;
        snprintf(id, sizeof id, "i%zu", x);
        snprintf(parent, sizeof parent, "i%zu", x - N_IDS / 2);
        if (i == 3 && x < N_IDS / 2 && !used[x + N_IDS / 2]) { /* goes with its part */
            st_delete(b, id);
            after->version[x] = after->version[x + N_IDS / 2] = -1;
        } else if (i != 3) {
            st_put(b, id, x < N_IDS / 2 ? NULL : parent, (uint64_t)k);
            after->version[x] = k;
        }
    }
}

static ilk_status write_step(ilki_store *s, int k, const st_batch *b, ilk_error *err)
{
    char value[16];
    ilk_space sp = st_space("v", ILK_DENSE, ST_DIM);
    ilki_source src = {.id = "src", .path = value, .root = "", .state = ILKI_SOURCE_INDEXED};
    const char *meta[] = {"k", value};
    snprintf(value, sizeof value, "%d", k);
    ilki_batch args = st_args(b);
    args.spaces = &sp;
    args.n_spaces = 1;
    args.sources = &src;
    args.n_sources = 1;
    args.meta = meta;
    args.n_meta = 1;
    return ilki_store_write(s, &args, NULL, NULL, err);
}

typedef struct life {
    const ilki_vfs *v;
    ilk_sync sync;
    bool patient; /* go on after an error, opening anew where the log refuses */
    oracle o;
    ilk_error err;
    size_t n_errors;
} life;

static ilk_status open_store(const life *l, ilki_store **s, bool read_only, ilk_error *err)
{
    ilki_store_open_options opt = {
        .vfs = l->v, .sync = l->sync, .read_only = read_only, .max_log_bytes = 6000, .gather = 1000};
    return ilki_store_open(s, "/a/store", &opt, err);
}

/* Reads this and that, for the calls it makes; what it finds is checked after the fault. */
static void look_around(ilki_store *s)
{
    uint64_t n;
    ilki_record *r = NULL;
    ilk_value v = st_int(3);
    ilk_filter f = st_filter(ILK_FILTER_GE, "n", &v);
    ilki_store_count(s, &f, &n, NULL);
    if (ilki_store_get(s, "i2", true, &r, NULL) == ILK_OK)
        CHECK(st_version(r) >= 0); /* an error is fine, a wrong answer never */
    ilki_store_record_free(r);
}

static void take_state(ilki_store *s, state *out)
{
    char id[16], *value = NULL;
    for (size_t i = 0; i < N_IDS; i++) {
        snprintf(id, sizeof id, "i%zu", i);
        out->version[i] = st_get(s, id);
    }
    out->meta = ilki_store_meta(s, "k", &value, NULL) ? -2 : value ? atoi(value) : -1;
    free(value);
}

static bool allowed(const oracle *o, const state *have, ilk_sync sync)
{
    for (size_t i = sync == ILK_SYNC_FULL ? o->n_acked : o->n_synced; i <= o->n_acked; i++)
        if (memcmp(have, &o->states[i], sizeof *have) == 0)
            return true;
    for (size_t i = 0; i < o->n_maybe; i++)
        if (memcmp(have, &o->maybe[i], sizeof *have) == 0)
            return true;
    return false;
}

/* Opened again after a batch that failed: it is there or not, and from here on that is certain. */
static void settle(life *l, ilki_store *s)
{
    state have;
    if (l->o.n_maybe) {
        take_state(s, &have);
        CHECK(allowed(&l->o, &have, ILK_SYNC_FULL));
        if (memcmp(&have, &l->o.states[l->o.n_acked], sizeof have) != 0)
            l->o.states[++l->o.n_acked] = have;
        l->o.n_maybe = 0;
    }
    l->o.n_synced = l->o.n_acked;
}

/* The script: batches, with a close and an open in the middle so that the tables are applied and checkpointed. */
static void live(life *l)
{
    ilki_store *s = NULL;
    st_batch b;
    for (int k = 0; k < N_STEPS; k++) {
        if (s && (k == 5 || k == 9)) {
            ilki_store_close(s);
            s = NULL;
        }
        if (!s) {
            ilk_status st = open_store(l, &s, false, &l->err);
            if (st) {
                CHECK(s == NULL && l->err.status == st && l->err.message[0]);
                l->n_errors++;
                if (!l->patient)
                    return;
                continue;
            }
            settle(l, s);
        }
        state after;
        make_step(k, &l->o.states[l->o.n_acked], &b, &after);
        ilk_status st = write_step(s, k, &b, &l->err);
        if (st == ILK_OK) {
            l->o.states[++l->o.n_acked] = after;
            l->o.n_maybe = 0;
        } else {
            CHECK(l->err.message[0]);
            l->o.maybe[l->o.n_maybe++] = after;
            l->n_errors++;
            if (!l->patient)
                break;
            ilki_store_close(s);
            s = NULL;
        }
        if (s && k % 3 == 0)
            look_around(s);
    }
    ilki_store_close(s);
}

static void print_state(const char *what, const state *x)
{
    printf("  %s: meta %lld:", what, (long long)x->meta);
    for (size_t i = 0; i < N_IDS; i++)
        printf(" %lld", (long long)x->version[i]);
    printf("\n");
}

/* `what` and n name the fault in messages. */
static void verify(life *l, const char *what, uint64_t n, uint64_t seed)
{
    ilki_store *s;
    state have, again;
    ilk_status st = open_store(l, &s, true, &l->err);
    if (st == ILK_NOT_FOUND && l->o.n_acked == 0) {
        st = ILK_OK;
    } else if (CHECK_THAT(st == ILK_OK, "%s %d seed %d: reader: %s", what, (int)n, (int)seed, l->err.message)) {
        take_state(s, &have);
        CHECK_THAT(allowed(&l->o, &have, l->sync), "%s %d seed %d: reader", what, (int)n, (int)seed);
        ilki_store_close(s);
    }
    st = open_store(l, &s, false, &l->err);
    if (!CHECK_THAT(st == ILK_OK, "%s %d seed %d: %s", what, (int)n, (int)seed, l->err.message))
        return;
    take_state(s, &have);
    if (!CHECK_THAT(allowed(&l->o, &have, l->sync), "%s %d seed %d: not what was acknowledged", what, (int)n,
                    (int)seed)) {
        print_state("have", &have);
        print_state("want", &l->o.states[l->o.n_acked]);
        for (size_t i = 0; i < l->o.n_maybe; i++)
            print_state("or", &l->o.maybe[i]);
    }
    st = ilki_store_check(s, false, NULL, NULL, NULL, &l->err);
    CHECK_THAT(st == ILK_OK, "%s %d seed %d: check: %s", what, (int)n, (int)seed, l->err.message);
    st_batch b;
    state after;
    make_step(50, &have, &b, &after); /* and it goes on */
    CHECK_OK(write_step(s, 50, &b, &l->err), &l->err);
    ilki_store_close(s);
    if (CHECK_OK(open_store(l, &s, false, &l->err), &l->err)) {
        take_state(s, &again);
        CHECK_MEM(&again, &after, sizeof again);
        ilki_store_close(s);
    }
}

/* ---- loss of power */

/* One life that loses power at call n, then maybe another loss while it recovers; true when n was reached. */
static bool lose_power(ilk_sync sync, uint64_t n, faulty_crash_kind kind, uint64_t seed, bool twice)
{
    faulty *f = faulty_new();
    life l = {.v = faulty_vfs(f), .sync = sync};
    oracle_init(&l.o);
    ilk_error_init(&l.err);
    faulty_set_garbage(f, seed % 2);
    faulty_cut_power(f, n);
    live(&l);
    bool reached = l.n_errors > 0 || faulty_count_changes(f) >= n;
    faulty_crash(f, kind, seed);
    if (twice) {
        ilki_store *s;
        faulty_cut_power(f, 1 + seed % 23);
        if (open_store(&l, &s, false, NULL) == ILK_OK)
            ilki_store_close(s);
        faulty_crash(f, kind, seed + 1);
    }
    verify(&l, twice ? "power lost twice at" : "power lost at", n, seed);
    CHECK_INT(faulty_n_open(f), 0);
    faulty_free(f);
    return reached;
}

static void power_is_lost_at_every_change(void)
{
    uint64_t n = 1;
    while (lose_power(ILK_SYNC_FULL, n, FAULTY_SEEDED, n * 3 + 1, false))
        n++;
    CHECK_THAT(n > 150, "only %d calls", (int)n);
    printf("%d calls that change something\n", (int)n);
}

static void nothing_unsynced_survives(void)
{
    uint64_t n = 1;
    while (lose_power(ILK_SYNC_FULL, n, FAULTY_LOSE_ALL, 2, false))
        n += 2;
    CHECK(n > 150);
}

static void power_is_lost_again_in_recovery(void)
{
    uint64_t n = 1;
    while (lose_power(ILK_SYNC_FULL, n, FAULTY_SEEDED, n * 7, true))
        n += 2;
    CHECK(n > 150);
}

static void process_is_killed_at_every_change(void)
{
    uint64_t n = 1;
    while (lose_power(ILK_SYNC_FULL, n, FAULTY_KEEP_ALL, 4, false))
        n += 2;
    CHECK(n > 150);
}

static void sync_normal_keeps_a_prefix(void)
{
    uint64_t n = 1;
    while (lose_power(ILK_SYNC_NORMAL, n, FAULTY_SEEDED, n * 5 + 2, false))
        n += 2;
    CHECK(n > 120);
}

/* ---- calls that fail */

static bool fail_call(faulty_op op, uint64_t n, int errno_value, int flags)
{
    faulty *f = faulty_new();
    life l = {.v = faulty_vfs(f), .patient = !(flags & FAULTY_FOR_EVER)};
    oracle_init(&l.o);
    ilk_error_init(&l.err);
    faulty_fail(f, op, n, errno_value, flags);
    live(&l);
    bool failed = faulty_fail_off(f);
    verify(&l, "failed call", n, (uint64_t)op);
    CHECK_INT(faulty_n_open(f), 0);
    faulty_free(f);
    return failed;
}

static void fail_all(faulty_op op, int errno_value, int flags, uint64_t step)
{
    uint64_t n = 1;
    while (fail_call(op, n, errno_value, flags))
        n += step;
}

static void every_call_fails_once(void)
{
    fail_all(FAULTY_WRITE, ENOSPC, FAULTY_TORN, 1);
    fail_all(FAULTY_SYNC, EIO, FAULTY_ONCE, 1);
    fail_all(FAULTY_ANY, EIO, FAULTY_ONCE, 3);
}

static void every_call_fails_for_ever(void)
{
    fail_all(FAULTY_WRITE, ENOSPC, FAULTY_FOR_EVER | FAULTY_TORN, 3);
    fail_all(FAULTY_SYNC, EIO, FAULTY_FOR_EVER, 2);
    fail_all(FAULTY_ANY, EIO, FAULTY_FOR_EVER, 13);
}

static void every_allocation_fails(void)
{
    for (int for_ever = 0; for_ever < 2; for_ever++) {
        for (uint64_t n = 1;; n += for_ever ? 11 : 3) {
            faulty *f = faulty_new();
            life l = {.v = faulty_vfs(f), .patient = !for_ever};
            oracle_init(&l.o);
            ilk_error_init(&l.err);
            alloc_fail_at(n, for_ever);
            live(&l);
            bool failed = alloc_fail_off();
            verify(&l, "failed allocation", n, (uint64_t)for_ever);
            CHECK_INT(faulty_n_open(f), 0);
            faulty_free(f);
            if (!failed)
                break;
        }
    }
}

TEST_MAIN({"power_is_lost_at_every_change", power_is_lost_at_every_change},
          {"nothing_unsynced_survives", nothing_unsynced_survives},
          {"power_is_lost_again_in_recovery", power_is_lost_again_in_recovery},
          {"process_is_killed_at_every_change", process_is_killed_at_every_change},
          {"sync_normal_keeps_a_prefix", sync_normal_keeps_a_prefix}, {"every_call_fails_once", every_call_fails_once},
          {"every_call_fails_for_ever", every_call_fails_for_ever}, {"every_allocation_fails", every_allocation_fails})
