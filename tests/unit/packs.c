/* SPDX-License-Identifier: Apache-2.0
 * Packed weights kept on disk, on tiny checkpoints: the next open maps them and gives the same bits, damage and strangers' files
 * are packed over, other weights and kernels have files of their own, the folder keeps its ceiling, and processes that write
 * at once or are killed leave nothing that harms. */
#include "embed/packs.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/hash.h"
#include "embed/state.h"
#include "models/settle.h"
#include "test.h"
#include "tree.h"
#include "words.h"

enum { MAX_DIM = 512 };
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif
#if defined(__SANITIZE_THREAD__)
enum { NO_FORK = 1 };
#else
enum { NO_FORK = 0 };
#endif

typedef struct place {
    char *top, *model;
    ilk_runtime *rt;
    ilk_error err;
} place;

static void copy_folder(const char *from, const char *to)
{
    char line[8192];
    snprintf(line, sizeof line, "cp -rL %s %s", from, to);
    CHECK_INT(system(line), 0);
}

static void begin(place *p, const char *fixture)
{
    *p = (place){.top = tree_new()};
    ilk_error_init(&p->err);
    p->model = strdup(tree_path(p->top, "model"));
    copy_folder(tree_path(ILK_TEST_DIR "/fixtures", "%s", fixture), p->model);
    setenv("XDG_CACHE_HOME", p->top, 1);
    unsetenv("ILK_PACKED_CACHE");
    CHECK_OK(ilk_runtime_open(&p->rt, NULL, &p->err), &p->err);
    p->rt->packed_least_ns = 0; /* or no model of a test is worth a file */
}

static void end(place *p)
{
    ilk_runtime_close(p->rt);
    free(p->model);
    tree_free(p->top);
}

static ilk_model_options options(ilk_precision precision)
{
    ilk_model_options o;
    ilk_model_options_init(&o);
    o.precision = precision;
    return o;
}

/* Opens, embeds; *file gets the name of what was mapped, "" where nothing was. */
static void vector(place *p, const ilk_model_options *o, float *to, char file[512])
{
    ilk_model *m = NULL;
    ilk_model_info info;
    ilk_model_info_init(&info);
    memset(to, 0, MAX_DIM * sizeof *to);
    file[0] = 0;
    if (!CHECK_OK(ilk_model_open(&m, p->rt, p->model, o, &p->err), &p->err))
        return;
    CHECK_OK(ilk_model_get_info(m, &info, &p->err), &p->err);
    CHECK(info.dim <= MAX_DIM);
    CHECK((info.packed_file != NULL) == (info.packed_bytes != 0));
    snprintf(file, 512, "%s", info.packed_file ? info.packed_file : "");
    CHECK_OK(ilk_embed_text(m, "a red cat on a mat", ILK_ROLE_NONE, to, info.dim, &p->err), &p->err);
    ilk_model_close(m);
}

static ilk_packed_info look(const place *p)
{
    ilk_packed_info info;
    ilk_error err;
    ilk_error_init(&err);
    ilk_packed_info_init(&info);
    CHECK_OK(ilk_runtime_get_packed_info(p->rt, &info, &err), &err);
    return info;
}

static void the_next_open(const char *fixture)
{
    place p;
    begin(&p, fixture);
    CHECK_INT(look(&p).n_files, 0);
    unsigned n_files = 0;
    for (ilk_precision k = ILK_PRECISION_F32; ilk_precision_name(k); k++) {
        float off[MAX_DIM], first[MAX_DIM], second[MAX_DIM];
        char file[512];
        ilk_model_options o = options(k), none = o;
        none.packed_cache = ILK_PACKED_OFF;
        vector(&p, &none, off, file);
        CHECK_STR(file, "");
        CHECK_INT(look(&p).n_files, n_files);
        vector(&p, &o, first, file);
        CHECK_STR(file, "");
        CHECK_INT(look(&p).n_files, ++n_files);
        vector(&p, &o, second, file);
        CHECK_THAT(strstr(file, "/ilk/packed/") && strstr(file, ilk_precision_name(k)), "mapped \"%s\"", file);
        CHECK_MEM(first, off, sizeof off);
        CHECK_MEM(second, off, sizeof off);
        CHECK_INT(look(&p).n_files, n_files);
        struct stat st;
        CHECK(stat(file, &st) == 0);
        CHECK_INT(st.st_mode & 07777, 0600);
        CHECK(stat(look(&p).folder, &st) == 0);
        CHECK_INT(st.st_mode & 07777, 0700);
        none.packed_cache = ILK_PACKED_KEEP;
        none.no_mmap = 1;
        vector(&p, &none, second, file);
        CHECK_STR(file, "");
        CHECK_MEM(second, off, sizeof off);
    }
    end(&p);
}

static void text_models(void)
{
    static const char *const fixtures[] = {"bert-mean",  "e2e-me5",    "e2e-modernbert",
                                           "nomic-mean", "gte-native", "bert-dense"};
    for (size_t i = 0; i < sizeof fixtures / sizeof *fixtures; i++)
        the_next_open(fixtures[i]);
}

static void two_towers(void)
{
    the_next_open("clip-st");
    the_next_open("siglip-left");
}

static void tables_of_words(void)
{
    place p;
    float want[MAX_DIM], got[MAX_DIM];
    char file[512];
    ilk_model_options o = options(ILK_PRECISION_INT8W);
    ilk_model *m = NULL;
    begin(&p, "bert-mean");
    words_grow(p.model);
    for (int i = 0; i < 3; i++) {
        vector(&p, &o, i ? got : want, file);
        CHECK((*file != 0) == (i > 0));
    }
    CHECK_MEM(got, want, sizeof want);
    size_t n_of[5] = {0};
    CHECK_OK(ilk_model_open(&m, p.rt, p.model, &o, &p.err), &p.err);
    for (size_t i = 0; m && i < ilki_tensor_packs_count(m->packs); i++)
        n_of[ilki_tensor_packs_view(m->packs, i)->kind]++;
    CHECK(n_of[ILKI_PACK_LINEAR] >= 8);
    CHECK_INT(n_of[ILKI_PACK_CODES], 1);
    CHECK_INT(n_of[ILKI_PACK_SCALES], 1);
    ilk_model_close(m);
    end(&p);
}

/* A table whose channels are far from alike, or whose norm makes them so, is not coded. */
static void uneven_tables(void)
{
    static const struct {
        const char *name;
        size_t step; /* of the element that is made large */
    } made[] = {{"\"embeddings.LayerNorm.weight\"", 0}, {"\"embeddings.word_embeddings.weight\"", 32}};
    for (size_t k = 0; k < sizeof made / sizeof *made; k++) {
        place p;
        ilk_model_options o = options(ILK_PRECISION_INT8W);
        ilk_model *m = NULL;
        begin(&p, "bert-mean");
        words_grow(p.model);
        words_scale(p.model, made[k].name, made[k].step, 40);
        CHECK_OK(ilk_model_open(&m, p.rt, p.model, &o, &p.err), &p.err);
        ilk_model_close(m);
        CHECK_OK(ilk_model_open(&m, p.rt, p.model, &o, &p.err), &p.err);
        CHECK(m && ilki_tensor_packs_count(m->packs) >= 8);
        for (size_t i = 0, n = m ? ilki_tensor_packs_count(m->packs) : 0; i < n; i++)
            CHECK_INT(ilki_tensor_packs_view(m->packs, i)->kind, i + 1 < n ? ILKI_PACK_LINEAR : ILKI_PACK_PLAIN);
        ilk_model_close(m);
        end(&p);
    }
}

/* Bytes, the most so far; 0 where the system does not say. */
static size_t peak_memory(bool reset)
{
    char line[256];
    size_t kib = 0;
    FILE *f = reset ? fopen("/proc/self/clear_refs", "we") : NULL;
    if (f) {
        fputs("5", f);
        fclose(f);
    }
    f = fopen("/proc/self/status", "re");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, "VmHWM:", 6) == 0)
            kib = strtoul(line + 6, NULL, 10);
    if (f)
        fclose(f);
    return kib * 1024;
}

/* A table of words of 77 MB becomes 19 MB of codes: at no time do both stand in memory, and of a mapped one only the rows that
 * are read. */
static void pages_are_given_back(void)
{
    if (SANITIZED)
        TEST_SKIP("a sanitizer's memory is not ours");
    place p;
    float want[MAX_DIM], got[MAX_DIM];
    char file[512];
    ilk_model_options o = options(ILK_PRECISION_INT8);
    begin(&p, "bert-mean");
    words_grow_to(p.model, 600000);
    size_t before = peak_memory(true);
    vector(&p, &o, want, file);
    size_t packing = peak_memory(true);
    vector(&p, &o, got, file);
    size_t mapped = peak_memory(false);
    CHECK(*file && before > 0);
    CHECK_MEM(got, want, sizeof want);
    CHECK_THAT(packing < before + 40000000, "%zu bytes before packing, %zu at most", before, packing);
    CHECK_THAT(mapped < before + 40000000, "%zu bytes before mapping, %zu at most", before, mapped);
    end(&p);
}

/* The published model, under the rule of what is worth a file. */
static void the_real_one(void)
{
    const char *dir = getenv("ILK_TEST_MINILM");
    if (!dir || access(dir, R_OK) != 0)
        TEST_SKIP("ILK_TEST_MINILM names no folder of all-MiniLM-L6-v2 (tools/get_minilm.sh prints one)");
    place p;
    float want[MAX_DIM], got[MAX_DIM];
    char file[512];
    begin(&p, "bert-mean");
    p.rt->packed_least_ns = 20000000;
    free(p.model);
    p.model = strdup(dir);
    for (ilk_precision k = ILK_PRECISION_F32; ilk_precision_name(k); k++) {
        ilk_model_options o = options(k);
        vector(&p, &o, want, file);
        vector(&p, &o, got, file);
        CHECK_THAT((*file != 0) == (k >= ILK_PRECISION_INT8), "%s: mapped \"%s\"", ilk_precision_name(k), file);
        CHECK_MEM(got, want, sizeof want);
    }
    CHECK_INT(look(&p).n_files, 2);
    end(&p);
}

/* Every way in which a file can be no good ends with the same bits and a good file. */
static void damage(void)
{
    place p;
    float want[MAX_DIM], got[MAX_DIM];
    char file[512], again[512];
    ilk_model_options o = options(ILK_PRECISION_INT8);
    begin(&p, "bert-mean");
    vector(&p, &o, want, file);
    vector(&p, &o, got, file);
    CHECK(*file);
    struct stat st;
    CHECK(stat(file, &st) == 0);
    for (int i = 0; i < 7; i++) {
        FILE *f = fopen(file, "r+be");
        CHECK(f != NULL);
        if (i < 4) {
            static const long at[] = {3, 30, 70, -1}; /* magic, key, table, the last byte */
            CHECK(fseek(f, at[i] < 0 ? st.st_size - 64 : at[i], SEEK_SET) == 0);
            int c = fgetc(f);
            CHECK(fseek(f, -1, SEEK_CUR) == 0 && fputc(c ^ 1, f) != EOF);
        } else if (i == 4) {
            CHECK(ftruncate(fileno(f), st.st_size / 2) == 0);
        } else if (i == 5) {
            CHECK(ftruncate(fileno(f), 0) == 0);
        } else {
            CHECK(fchmod(fileno(f), 0666) == 0);
        }
        fclose(f);
        vector(&p, &o, got, again);
        CHECK_THAT(!*again, "case %d: mapped %s", i, again);
        CHECK_MEM(got, want, sizeof want);
        vector(&p, &o, got, again);
        CHECK_STR(again, file);
        CHECK_MEM(got, want, sizeof want);
        CHECK(stat(file, &st) == 0);
        CHECK_INT(st.st_mode & 07777, 0600);
    }
    CHECK_INT(look(&p).n_files, 1);
    end(&p);
}

/* A file of an earlier format is no error: the same name gets a new one. */
static void an_earlier_format(void)
{
    enum { HEAD = 64, AT_FORMAT = 8, AT_SUM = 60 };
    place p;
    float want[MAX_DIM], got[MAX_DIM];
    char file[512], again[512];
    unsigned char head[HEAD];
    ilk_model_options o = options(ILK_PRECISION_INT8);
    begin(&p, "bert-mean");
    vector(&p, &o, want, file);
    vector(&p, &o, got, file);
    FILE *f = fopen(file, "r+be");
    REQUIRE(CHECK(f != NULL) && CHECK_INT(fread(head, 1, HEAD, f), HEAD));
    head[AT_FORMAT]--;
    uint32_t sum = ilki_base_crc32c(0, head, AT_SUM);
    for (int i = 0; i < 4; i++)
        head[AT_SUM + i] = (unsigned char)(sum >> 8 * i);
    CHECK(fseek(f, 0, SEEK_SET) == 0 && fwrite(head, 1, HEAD, f) == HEAD);
    fclose(f);
    vector(&p, &o, got, again);
    CHECK_STR(again, "");
    CHECK_MEM(got, want, sizeof want);
    vector(&p, &o, got, again);
    CHECK_STR(again, file);
    CHECK_MEM(got, want, sizeof want);
    CHECK_INT(look(&p).n_files, 1);
    end(&p);
}

static void others_have_their_own(void)
{
    place p;
    float want[MAX_DIM], got[MAX_DIM];
    char first[512], file[512], second[512];
    ilk_model_options o = options(ILK_PRECISION_F32);
    begin(&p, "bert-mean");
    vector(&p, &o, want, file);
    vector(&p, &o, got, first);
    CHECK(*first);
    /* the same weights elsewhere are the same model, once their fingerprint is known */
    char *moved = strdup(tree_path(p.top, "moved"));
    CHECK(rename(p.model, moved) == 0);
    free(p.model);
    p.model = moved;
    ilk_model *m = NULL;
    const char *hex;
    CHECK_OK(ilk_model_open(&m, p.rt, p.model, &o, &p.err), &p.err);
    CHECK_OK(ilk_model_get_fingerprint(m, NULL, &hex, &p.err), &p.err);
    ilk_model_close(m);
    vector(&p, &o, got, file);
    CHECK_STR(file, first);
    /* other weights are another model */
    char *weights = NULL;
    size_t n = 0;
    const char *path = tree_path(p.model, "model.safetensors");
    CHECK_OK(ilki_base_read_file(&ilki_base_vfs_posix, path, 1 << 26, &weights, &n, &p.err), &p.err);
    weights[n - 2] = (char)(weights[n - 2] ^ 0x40);
    weights[n - 402] = (char)(weights[n - 402] ^ 0x40);
    CHECK_OK(ilki_base_write_file(&ilki_base_vfs_posix, path, weights, n, &p.err), &p.err);
    free(weights);
    vector(&p, &o, got, file);
    CHECK_STR(file, "");
    vector(&p, &o, got, second);
    CHECK_THAT(*second && strcmp(second, first) != 0, "mapped \"%s\"", second);
    CHECK_INT(look(&p).n_files, 2);
    /* and so are other kernels */
    ilk_runtime_close(p.rt);
    ilk_runtime_options ro;
    ilk_runtime_options_init(&ro);
    ro.cpu = "ref";
    CHECK_OK(ilk_runtime_open(&p.rt, &ro, &p.err), &p.err);
    p.rt->packed_least_ns = 0;
    vector(&p, &o, got, file);
    CHECK_STR(file, "");
    vector(&p, &o, got, file);
    CHECK_THAT(*file && strcmp(second, file) != 0, "mapped \"%s\"", file);
    end(&p);
}

/* Which weights are packed, in what order, and which of their channels are exact, as ILKI_MODELS_LAYOUT counts it. */
static void the_models_layout(void)
{
    static const struct {
        const char *fixture;
        uint32_t sum;
    } known[] = {{"bert-mean", 0xea3ecc7e}, {"e2e-modernbert", 0x2bf0abf5}, {"e2e-nomic", 0x4b96e725}};
    enum { LAYOUT = 2 };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        place p;
        float v[MAX_DIM];
        char file[512];
        ilk_model *m = NULL;
        ilk_runtime_options ro;
        ilk_model_options o = options(ILK_PRECISION_INT8);
        uint32_t sum = 2166136261u;
        begin(&p, known[i].fixture);
        ilk_runtime_close(p.rt);
        ilk_runtime_options_init(&ro);
        ro.cpu = "ref";
        CHECK_OK(ilk_runtime_open(&p.rt, &ro, &p.err), &p.err);
        p.rt->packed_least_ns = 0;
        vector(&p, &o, v, file);
        CHECK_OK(ilk_model_open(&m, p.rt, p.model, &o, &p.err), &p.err);
        for (size_t k = 0; m && k < ilki_tensor_packs_count(m->packs); k++) {
            const ilki_pack *pack = ilki_tensor_packs_view(m->packs, k);
            const uint64_t of[] = {pack->kind, pack->form, pack->n_out, pack->n_in, pack->n_bytes, pack->n_exact};
            for (size_t f = 0; f < sizeof of / sizeof *of; f++)
                sum = (sum ^ (uint32_t)of[f]) * 16777619u;
            for (size_t x = 0; x < pack->n_exact; x++)
                sum = (sum ^ pack->exact[x]) * 16777619u;
        }
        CHECK_THAT(
            sum == known[i].sum && ILKI_MODELS_LAYOUT == LAYOUT,
            "%s: which weights are packed, or their exact channels, have changed (sum 0x%08x, expected 0x%08x): raise "
            "ILKI_MODELS_LAYOUT (models/settle.h), since packed weights are kept on disk, and write both here",
            known[i].fixture, sum, known[i].sum);
        ilk_model_close(m);
        end(&p);
    }
}

static void switches(void)
{
    place p;
    float v[MAX_DIM];
    char file[512];
    ilk_model_options o = options(ILK_PRECISION_INT8), looks = o;
    looks.packed_cache = ILK_PACKED_LOOK;
    begin(&p, "bert-mean");
    vector(&p, &looks, v, file);
    CHECK_INT(look(&p).n_files, 0);
    p.rt->packed_least_ns = 20000000; /* a tiny model is not worth a file */
    vector(&p, &o, v, file);
    CHECK_INT(look(&p).n_files, 0);
    p.rt->packed_least_ns = 0;
    p.rt->packed_ceiling = 10000; /* nor is one that is more than half of the folder */
    vector(&p, &o, v, file);
    CHECK_INT(look(&p).n_files, 0);
    p.rt->packed_ceiling = 0;
    vector(&p, &o, v, file);
    CHECK_INT(look(&p).n_files, 0);
    p.rt->packed_ceiling = 1 << 30;
    vector(&p, &o, v, file);
    vector(&p, &looks, v, file);
    CHECK(*file);
    o.packed_cache = (ilk_packed_cache)3;
    ilk_model *m = NULL;
    CHECK_STATUS(ilk_model_open(&m, p.rt, p.model, &o, &p.err), ILK_BAD_ARGUMENT, &p.err);
    end(&p);
    static const struct {
        const char *said;
        uint64_t want;
    } rows[] = {{"off", 0}, {"", (uint64_t)4 << 30}, {"1", 1 << 20}, {"100", 100 << 20}, {"12x", 0}, {"0", 0},
                {"-1", 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ilk_runtime *rt = NULL;
        setenv("ILK_PACKED_CACHE", rows[i].said, 1);
        CHECK_OK(ilk_runtime_open(&rt, NULL, NULL), NULL);
        CHECK_INT(rt->packed_ceiling, rows[i].want);
        ilk_runtime_close(rt);
    }
    unsetenv("ILK_PACKED_CACHE");
}

static void nowhere(void)
{
    place p;
    float want[MAX_DIM], got[MAX_DIM];
    char file[512];
    ilk_model_options o = options(ILK_PRECISION_INT8);
    begin(&p, "bert-mean");
    vector(&p, &o, want, file);
    setenv("XDG_CACHE_HOME", "/dev/null/nowhere", 1);
    for (int i = 0; i < 2; i++) {
        vector(&p, &o, got, file);
        CHECK_STR(file, "");
        CHECK_MEM(got, want, sizeof want);
    }
    end(&p);
}

static void put_aged(const char *dir, const char *name, size_t n, long seconds)
{
    char data[1000] = {0};
    struct timespec t[2];
    tree_write(tree_path(dir, "%s", name), data, n);
    clock_gettime(CLOCK_REALTIME, &t[0]);
    t[0].tv_sec -= seconds;
    t[1] = t[0];
    CHECK(utimensat(AT_FDCWD, tree_path(dir, "%s", name), t, 0) == 0);
}

static bool there(const char *dir, const char *name)
{
    return access(tree_path(dir, "%s", name), F_OK) == 0;
}

static void the_ceiling(void)
{
    char *dir = tree_new();
    put_aged(dir, "a.pack", 400, 100);
    put_aged(dir, "b.pack", 300, 300);
    put_aged(dir, "c.pack", 200, 200);
    put_aged(dir, "d.pack.tmp-1-2", 50, 4000);
    put_aged(dir, "e.pack.tmp-1-3", 50, 10);
    put_aged(dir, "strange", 500, 4000);
    ilki_embed_packs_make_room(&ilki_base_vfs_posix, dir, 1000, 50);
    CHECK(there(dir, "a.pack") && there(dir, "b.pack") && there(dir, "c.pack"));
    CHECK(!there(dir, "d.pack.tmp-1-2") && there(dir, "e.pack.tmp-1-3") && there(dir, "strange"));
    ilki_embed_packs_make_room(&ilki_base_vfs_posix, dir, 1000, 51);
    CHECK(there(dir, "a.pack") && !there(dir, "b.pack") && there(dir, "c.pack"));
    ilki_embed_packs_make_room(&ilki_base_vfs_posix, dir, 1000, 800);
    CHECK(!there(dir, "a.pack") && !there(dir, "c.pack"));
    put_aged(dir, "a.pack", 400, 100);
    ilki_embed_packs_make_room(&ilki_base_vfs_posix, dir, 1000, 5000);
    CHECK(!there(dir, "a.pack") && there(dir, "strange"));
    tree_free(dir);
}

/* A file that is used is young again, once an hour. */
static void used_is_young(void)
{
    place p;
    float v[MAX_DIM];
    char file[512];
    struct stat st;
    struct timespec old[2] = {{.tv_sec = 1000000}, {.tv_sec = 1000000}};
    ilk_model_options o = options(ILK_PRECISION_F32);
    begin(&p, "bert-mean");
    vector(&p, &o, v, file);
    vector(&p, &o, v, file);
    CHECK(utimensat(AT_FDCWD, file, old, 0) == 0);
    vector(&p, &o, v, file);
    CHECK(stat(file, &st) == 0);
    CHECK(st.st_mtime > 1000000);
    old[1].tv_sec = st.st_mtime - 1000;
    CHECK(utimensat(AT_FDCWD, file, old, 0) == 0);
    vector(&p, &o, v, file);
    CHECK(stat(file, &st) == 0);
    CHECK_INT(st.st_mtime, old[1].tv_sec);
    end(&p);
}

/* A child that opens the model again and again after throwing away what is kept. */
static pid_t start_writer(const place *p)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    ilk_runtime *rt = NULL;
    ilk_model_options o = options(ILK_PRECISION_INT8);
    if (ilk_runtime_open(&rt, NULL, NULL) != ILK_OK)
        _exit(1);
    rt->packed_least_ns = 0;
    for (int i = 0; i < 1000; i++) {
        ilk_model *m = NULL;
        if (ilk_model_open(&m, rt, p->model, &o, NULL) != ILK_OK)
            _exit(2);
        if (m->packed_file)
            unlink(m->packed_file);
        ilk_model_close(m);
    }
    _exit(0);
}

static void writers_at_once_and_killed(void)
{
    if (NO_FORK)
        TEST_SKIP("ThreadSanitizer takes no threads in a child");
    place p;
    float want[MAX_DIM], got[MAX_DIM];
    char file[512];
    ilk_model_options o = options(ILK_PRECISION_INT8);
    begin(&p, "bert-mean");
    vector(&p, &o, want, file);
    for (int i = 0; i < 6; i++) {
        pid_t a = start_writer(&p), b = start_writer(&p);
        CHECK(a > 0 && b > 0);
        for (int k = 0; k < 5; k++) {
            vector(&p, &o, got, file);
            CHECK_MEM(got, want, sizeof want);
        }
        nanosleep(&(struct timespec){.tv_nsec = 1000000 * (10 + 7 * i)}, NULL);
        kill(a, SIGKILL);
        kill(b, SIGKILL);
        int status = 0;
        CHECK(waitpid(a, &status, 0) == a && WIFSIGNALED(status));
        CHECK(waitpid(b, &status, 0) == b && WIFSIGNALED(status));
        vector(&p, &o, got, file);
        CHECK_MEM(got, want, sizeof want);
        vector(&p, &o, got, file);
        CHECK(*file);
        CHECK_MEM(got, want, sizeof want);
    }
    end(&p);
}

TEST_MAIN({"text_models", text_models}, {"two_towers", two_towers}, {"tables_of_words", tables_of_words},
          {"uneven_tables", uneven_tables}, {"pages_are_given_back", pages_are_given_back},
          {"the_real_one", the_real_one}, {"damage", damage}, {"an_earlier_format", an_earlier_format},
          {"others_have_their_own", others_have_their_own}, {"the_models_layout", the_models_layout},
          {"switches", switches}, {"nowhere", nowhere}, {"the_ceiling", the_ceiling}, {"used_is_young", used_is_young},
          {"writers_at_once_and_killed", writers_at_once_and_killed})
