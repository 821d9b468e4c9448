/* SPDX-License-Identifier: Apache-2.0
 * Pictures of a folder as records: beside texts in one space, with junk among them, kept while they are the same. */
#include "folder.h"

#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

static void copy_file(const char *from, const char *to)
{
    char command[8400];
    snprintf(command, sizeof command, "cp '%s' '%s'", from, to);
    TREE_NEED(system(command) == 0);
}

static void put_picture(folder *f, const char *fixture, const char *name)
{
    char *from = strdup(tree_path(ILK_TEST_DIR, "fixtures/picture-files/%s", fixture));
    copy_file(from, tree_path(f->dir, "%s", name));
    free(from);
}

static uint64_t n_of(folder *f, const char *field, const char *value)
{
    uint64_t n = 0;
    ilk_value v;
    ilk_filter filter = folder_filter(ILK_FILTER_EQ, field, value, &v);
    CHECK_OK(ilk_store_count(f->s, &filter, &n, &f->err), &f->err);
    return n;
}

/* Pictures alone, with the scores of their space. */
static ilk_hits *search_picture(folder *f, ilk_model *m, const char *path, uint32_t k)
{
    ilk_hits *h = NULL;
    ilk_part part;
    ilk_input in;
    ilk_query q;
    ilk_value v;
    ilk_filter pictures = folder_filter(ILK_FILTER_EQ, "modality", "image", &v);
    ilk_part_init(&part);
    ilk_input_init(&in);
    ilk_query_init(&q);
    q.filter = &pictures;
    part.kind = ILK_PART_PATH;
    part.modality = ILK_IMAGE;
    part.data = path;
    in.parts = &part;
    in.n_parts = 1;
    q.k = k;
    CHECK_OK(ilk_search(f->s, m, &in, &q, NULL, &h, &f->err), &f->err);
    return h;
}

static const ilk_value *field_of(const ilk_hit *hit, const char *name)
{
    for (size_t i = 0; i < hit->n_fields; i++)
        if (strcmp(hit->fields[i].name, name) == 0)
            return &hit->fields[i].value;
    return NULL;
}

static void check_int(const ilk_hit *hit, const char *name, int64_t want)
{
    const ilk_value *v = field_of(hit, name);
    CHECK_THAT(v && v->type == ILK_VALUE_INT && v->i == want, "%s: expected %lld, found %lld", name, (long long)want,
               v ? (long long)v->i : -1);
}

/* The vector that the store has is the one that ilk_embed makes of the file, to the bit. */
static void check_vector(folder *f, ilk_model *m, const char *path, const char *id, const char *space)
{
    ilk_hits *h = NULL;
    ilk_vectors *v = NULL;
    ilk_vector had;
    ilk_part part;
    ilk_input in;
    size_t n = 0;
    ilk_part_init(&part);
    ilk_input_init(&in);
    ilk_vector_init(&had);
    part.kind = ILK_PART_PATH;
    part.modality = ILK_IMAGE;
    part.data = path;
    in.parts = &part;
    in.n_parts = 1;
    CHECK_OK(ilk_embed(m, &in, 1, NULL, NULL, &v, &f->err), &f->err);
    const float *want = ilk_vectors_get_dense(v, 0, &n);
    CHECK_OK(ilk_store_get(f->s, &id, 1, &h, &f->err), &f->err);
    if (CHECK(want) && CHECK_OK(ilk_hits_get_vector(h, 0, 0, space, &had, &f->err), &f->err) && CHECK_INT(had.dim, n))
        CHECK_FLOATS(had.data, want, n, 0, 0);
    ilk_hits_free(h);
    ilk_vectors_free(v);
}

static void beside_documents(void)
{
    folder f;
    if (!folder_open(&f, "clip-quick"))
        goto end;
    put_picture(&f, "jpeg-exif6.jpg", "a.jpg");
    put_picture(&f, "png-rgb8.png", "misnamed.txt");
    put_picture(&f, "webp-lossy.webp", "c.webp");
    tree_put(tree_path(f.dir, "notes.md"), "# Trip\n\nThe red bicycle is lovely.\n");
    CHECK_OK(folder_ingest(&f, f.dir, NULL), &f.err);
    CHECK_TOLD(&f, "indexed a.jpg");
    CHECK_TOLD(&f, "indexed misnamed.txt");
    CHECK_TOLD(&f, "indexed notes.md");
    CHECK_INT(f.result.n_pictures, 3);
    CHECK_INT(f.result.n_indexed, 4);
    CHECK_INT(f.result.n_chunks, 1);
    CHECK_INT(n_of(&f, "modality", "image"), 3);
    CHECK_INT(n_of(&f, "kind", "png"), 1);
    ilk_hits *h = search_picture(&f, f.m, tree_path(f.dir, "a.jpg"), 4);
    if (CHECK(ilk_hits_get_count(h, 0) == 3)) {
        ilk_hit hit = folder_hit(h, 0);
        CHECK_STR(hit.path, "a.jpg");
        CHECK_STR(hit.modality, "image");
        CHECK_NEAR((double)hit.score, 1.0, 1e-5);
        CHECK(!hit.parent && !strchr(hit.id, '#'));
        check_int(&hit, "width", 11); /* turned as EXIF says */
        check_int(&hit, "height", 19);
        struct stat st;
        TREE_NEED(stat(tree_path(f.dir, "a.jpg"), &st) == 0);
        check_int(&hit, "bytes", st.st_size);
        check_vector(&f, f.m, tree_path(f.dir, "a.jpg"), hit.id, "image");
    }
    ilk_hits_free(h);
    h = folder_search(&f, "The red bicycle is lovely.", 4); /* texts are of the same space */
    CHECK_INT(ilk_hits_get_count(h, 0), 4);
    ilk_hits_free(h);
    /* changed, moved, gone */
    put_picture(&f, "png-rgb8.png", "a.jpg");
    TREE_NEED(rename(tree_path(f.dir, "c.webp"), tree_path(f.dir, "d.webp")) == 0);
    TREE_NEED(unlink(tree_path(f.dir, "misnamed.txt")) == 0);
    CHECK_OK(folder_ingest(&f, f.dir, NULL), &f.err);
    CHECK_TOLD(&f, "indexed a.jpg");
    CHECK_TOLD(&f, "moved d.webp");
    CHECK_TOLD(&f, "removed misnamed.txt");
    CHECK_TOLD(&f, "unchanged notes.md");
    CHECK_INT(n_of(&f, "modality", "image"), 2);
    /* a text takes the picture's place, and the other way round */
    tree_put(tree_path(f.dir, "a.jpg"), "now a text\n");
    put_picture(&f, "gif-256.gif", "notes.md");
    CHECK_OK(folder_ingest(&f, f.dir, NULL), &f.err);
    CHECK_INT(n_of(&f, "modality", "image"), 2);
    CHECK_INT(n_of(&f, "kind", "gif"), 1);
    CHECK_OK(folder_ingest(&f, f.dir, NULL), &f.err);
    CHECK_INT(f.result.n_unchanged, 3);
end:
    folder_close(&f);
}

static void junk_among_pictures(void)
{
    static const char *const broken[] = {"jpeg-truncated.jpg", "jpeg-bomb.jpg",         "png-no-data.png",
                                         "gif-truncated.gif",  "webp-half-header.webp", "tiff-truncated.tif"};
    folder f;
    if (!folder_open(&f, "clip-quick"))
        goto end;
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++)
        put_picture(&f, broken[i], broken[i]);
    put_picture(&f, "jpeg-420.jpg", "good.jpg");
    put_picture(&f, "tiff-rgb-raw.tif", "camera.nef");
    tree_write(tree_path(f.dir, "b.cr2"), "II*\0\x10\0\0\0CR\2\0\0\0\0\0", 16);
    tree_write(tree_path(f.dir, "c.mp4"),
               "\0\0\0\x18"
               "ftypisom\0\0\2\0isommp42",
               24);
    tree_put(tree_path(f.dir, "d.svg"), "<svg xmlns=\"http://www.w3.org/2000/svg\"/>\n");
    tree_put(tree_path(f.dir, "e.jpg"), "no picture, but words\n");
    for (int again = 0; again < 2; again++) {
        CHECK_OK(folder_ingest(&f, f.dir, NULL), &f.err);
        CHECK_TOLD(&f, again ? "unchanged good.jpg" : "indexed good.jpg");
        CHECK_TOLD(&f, again ? "unchanged e.jpg" : "indexed e.jpg");
        CHECK_TOLD(&f, "skipped camera.nef (not supported yet: a RAW photo)");
        CHECK_TOLD(&f, "skipped b.cr2 (not supported yet: a RAW photo)");
        CHECK_TOLD(&f, "skipped c.mp4 (not supported yet: a video)");
        CHECK_TOLD(&f, "skipped d.svg (not supported yet: an SVG drawing)");
        for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
            char line[64];
            snprintf(line, sizeof line, "failed %s (", broken[i]);
            CHECK_THAT(strstr(f.log, line), "%s: told\n%s", broken[i], f.log);
        }
        CHECK_INT(f.result.n_failed, 6);
        CHECK_INT(f.result.n_skipped, 4);
    }
    ilk_ingest_options o = folder_options(&f);
    o.strict = 1;
    ilk_status st = folder_ingest(&f, f.dir, &o);
    CHECK(st == ILK_BAD_FORMAT || st == ILK_LIMIT);
end:
    folder_close(&f);
}

static void models_read_what_they_can(void)
{
    folder f;
    ilk_model *sees = NULL, *other = NULL;
    const char *dir;
    if (!folder_open(&f, "bert-mean"))
        goto end;
    dir = f.dir;
    put_picture(&f, "jpeg-420.jpg", "a.jpg");
    tree_put(tree_path(f.dir, "b.txt"), "The red bicycle is lovely.\n");
    CHECK_OK(folder_ingest(&f, f.dir, NULL), &f.err);
    CHECK_TOLD(&f, "skipped a.jpg (a picture: no model here sees)");
    CHECK_TOLD(&f, "indexed b.txt");
    CHECK_OK(folder_ingest(&f, f.dir, NULL), &f.err);
    CHECK_TOLD(&f, "skipped a.jpg (a picture: no model here sees)");
    /* a model that sees comes in: what there is keeps its vectors, the text gets one more */
    TREE_NEED(
        CHECK_OK(ilk_model_open(&sees, f.rt, tree_path(ILK_TEST_DIR, "fixtures/clip-quick"), NULL, &f.err), &f.err));
    TREE_NEED(CHECK_OK(ilk_model_open(&other, f.rt, tree_path(ILK_TEST_DIR, "fixtures/siglip-bilinear"), NULL, &f.err),
                       &f.err));
    ilk_ingest_options o = folder_options(&f);
    f.n_log = 0;
    CHECK_STATUS(ilk_ingest(f.s, &sees, 1, &dir, 1, &o, NULL, &f.result, &f.err), ILK_MISMATCH, &f.err);
    CHECK(strstr(f.err.message, "bert-mean") && strstr(f.err.message, "\"text\""));
    ilk_model *both[] = {sees, f.m, other};
    for (size_t n = 2; n <= 3; n++) {
        f.n_log = 0;
        ilk_ingest_result_init(&f.result);
        CHECK_OK(ilk_ingest(f.s, both, n, &dir, 1, &o, NULL, &f.result, &f.err), &f.err);
        CHECK_TOLD(&f, "indexed a.jpg");
        CHECK_TOLD(&f, "indexed b.txt");
        ilk_hits *h = search_picture(&f, both[n - 1] == f.m ? sees : other, tree_path(f.dir, "a.jpg"), 9);
        CHECK_INT(ilk_hits_get_count(h, 0), 1);
        ilk_hit hit = folder_hit(h, 0);
        CHECK_STR(hit.path, "a.jpg");
        check_vector(&f, sees, tree_path(f.dir, "a.jpg"), hit.id, "image");
        ilk_hits_free(h);
        h = folder_search(&f, "bicycle", 9); /* the model of texts alone has no vector of the picture */
        CHECK_INT(ilk_hits_get_count(h, 0), 1);
        ilk_hits_free(h);
    }
    ilk_space space;
    ilk_space_init(&space);
    CHECK(ilk_store_get_space(f.s, 2, &space, &f.err) == ILK_OK && strncmp(space.name, "image-", 6) == 0);
    /* the order of models is none of the settings */
    both[0] = f.m;
    both[1] = other;
    both[2] = sees;
    f.n_log = 0;
    CHECK_OK(ilk_ingest(f.s, both, 3, &dir, 1, &o, NULL, &f.result, &f.err), &f.err);
    CHECK_TOLD(&f, "unchanged a.jpg");
    CHECK_TOLD(&f, "unchanged b.txt");
    /* a picture that changed has its vectors of both */
    put_picture(&f, "jpeg-444.jpg", "a.jpg");
    CHECK_OK(ilk_ingest(f.s, both, 3, &dir, 1, &o, NULL, &f.result, &f.err), &f.err);
    ilk_hits *h = search_picture(&f, other, tree_path(f.dir, "a.jpg"), 1);
    ilk_hit hit = folder_hit(h, 0);
    CHECK_NEAR((double)hit.score, 1.0, 1e-5);
    check_vector(&f, sees, tree_path(f.dir, "a.jpg"), hit.id, "image");
    check_vector(&f, other, tree_path(f.dir, "a.jpg"), hit.id, space.name);
    ilk_hits_free(h);
    CHECK_STATUS(ilk_ingest(f.s, both, 33, &dir, 1, &o, NULL, &f.result, &f.err), ILK_LIMIT, &f.err);
end:
    ilk_model_close(sees);
    ilk_model_close(other);
    folder_close(&f);
}

/* One that sees and reads no text passes texts over. */
static void eyes_alone(void)
{
    folder f;
    if (!folder_open(&f, "clip-vision"))
        goto end;
    put_picture(&f, "jpeg-420.jpg", "a.jpg");
    tree_put(tree_path(f.dir, "b.txt"), "words\n");
    CHECK_OK(folder_ingest(&f, f.dir, NULL), &f.err);
    CHECK_TOLD(&f, "indexed a.jpg");
    CHECK_TOLD(&f, "skipped b.txt (a text: no model here reads it)");
    ilk_ingest_options o = folder_options(&f);
    o.dry_run = 1;
    put_picture(&f, "jpeg-444.jpg", "c.jpg");
    put_picture(&f, "jpeg-truncated.jpg", "d.jpg");
    CHECK_OK(folder_ingest(&f, f.dir, &o), &f.err);
    CHECK_TOLD(&f, "unchanged a.jpg");
    CHECK_TOLD(&f, "indexed c.jpg");
    CHECK_INT(n_of(&f, "modality", "image"), 1);
end:
    folder_close(&f);
}

/* Cuts every file below a folder to nine tenths. */
static int cut_file(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)at;
    return type == FTW_F && truncate(path, st->st_size * 9 / 10) != 0;
}

static void spoil(const char *where)
{
    CHECK_INT(nftw(where, cut_file, 8, FTW_PHYS), 0);
}

/* The same bytes whether made or found; a picture that is gone is shown from the cache; what is none says so. */
static void thumbnails(void)
{
    folder f;
    ilk_thumbnails *t[3] = {NULL, NULL, NULL};
    ilk_thumbnail one[4], again;
    ilk_thumbnail_options o;
    ilk_thumbnail_options_init(&o);
    if (!folder_open(&f, "clip-quick"))
        goto end;
    TREE_NEED(setenv("XDG_CACHE_HOME", tree_path(f.top, "cache"), 1) == 0);
    put_picture(&f, "jpeg-exif6.jpg", "a.jpg");
    put_picture(&f, "png-rgba8.png", "b.png");
    put_picture(&f, "jpeg-truncated.jpg", "broken.jpg");
    CHECK_OK(folder_ingest(&f, f.dir, NULL), &f.err);
    const char *const paths[] = {"a.jpg", "b.png", "nobody.jpg", "broken.jpg"};
    o.side = 16;
    for (int i = 0; i < 3; i++) {
        if (i == 2)
            TREE_NEED(unlink(tree_path(f.dir, "a.jpg")) == 0);
        if (!CHECK_OK(ilk_store_get_thumbnails(f.s, paths, 4, &o, NULL, &t[i], &f.err), &f.err))
            goto end;
        ilk_thumbnail_init(&again);
        ilk_thumbnail_init(&one[0]);
        CHECK_OK(ilk_thumbnails_get(t[i], 0, &again, &f.err), &f.err);
        CHECK_OK(ilk_thumbnails_get(t[0], 0, &one[0], &f.err), &f.err);
        if (i)
            CHECK(again.status == ILK_OK && again.n_bytes == one[0].n_bytes && again.width == one[0].width &&
                  memcmp(again.data, one[0].data, again.n_bytes) == 0);
    }
    for (size_t i = 1; i < 4; i++) {
        ilk_thumbnail_init(&one[i]);
        CHECK_OK(ilk_thumbnails_get(t[0], i, &one[i], &f.err), &f.err);
    }
    CHECK(one[0].status == ILK_OK && one[0].width == 9 && one[0].height == 16); /* of 11 x 19, turned */
    CHECK(one[0].n_bytes > 100 && memcmp(one[0].data, "\xff\xd8\xff", 3) == 0);
    CHECK(one[1].status == ILK_OK && one[1].width == 13);
    CHECK(one[2].status == ILK_NOT_FOUND && one[2].message && !one[2].data);
    CHECK(one[3].status == ILK_BAD_FORMAT && one[3].message && strstr(one[3].message, "truncated"));
    CHECK_STATUS(ilk_thumbnails_get(t[0], 4, &again, &f.err), ILK_NOT_FOUND, &f.err);
    struct stat st;
    TREE_NEED(stat(tree_path(f.top, "cache/ilk/thumbnails"), &st) == 0);
    CHECK_INT(st.st_mode & 0777, 0700);
    /* a file of the cache that lost its end is made again */
    spoil(tree_path(f.top, "cache/ilk/thumbnails"));
    ilk_thumbnails_free(t[2]);
    t[2] = NULL;
    CHECK_OK(ilk_store_get_thumbnails(f.s, paths, 4, &o, NULL, &t[2], &f.err), &f.err);
    ilk_thumbnail_init(&again);
    CHECK_OK(ilk_thumbnails_get(t[2], 1, &again, &f.err), &f.err);
    CHECK(again.status == ILK_OK && again.n_bytes == one[1].n_bytes &&
          memcmp(again.data, one[1].data, again.n_bytes) == 0);
    CHECK_OK(ilk_thumbnails_get(t[2], 0, &again, &f.err), &f.err);
    CHECK(again.status == ILK_NOT_FOUND); /* its picture is gone */
    o.side = 2000;
    ilk_thumbnails *none = NULL;
    CHECK_STATUS(ilk_store_get_thumbnails(f.s, paths, 4, &o, NULL, &none, &f.err), ILK_BAD_ARGUMENT, &f.err);
    CHECK(!none);
end:
    for (int i = 0; i < 3; i++)
        ilk_thumbnails_free(t[i]);
    folder_close(&f);
}

/* What EXIF says: typed, so that filters compare it; nothing of it where it is not wanted. */
static void exif_becomes_fields(void)
{
    folder f;
    if (!folder_open(&f, "openclip-quick"))
        goto end;
    put_picture(&f, "../exif/jpeg-camera.jpg", "a.jpg");
    put_picture(&f, "../exif/webp-camera.webp", "b.webp");
    put_picture(&f, "png-palette8.png", "c.png");
    CHECK_OK(folder_ingest(&f, f.dir, NULL), &f.err);
    ilk_hits *h = search_picture(&f, f.m, tree_path(f.dir, "a.jpg"), 1);
    ilk_hit hit = folder_hit(h, 0);
    CHECK_STR(hit.path, "a.jpg");
    const ilk_value *taken = field_of(&hit, "taken"), *make = field_of(&hit, "camera_make"),
                    *model = field_of(&hit, "camera_model"), *lens = field_of(&hit, "lens"),
                    *latitude = field_of(&hit, "latitude"), *longitude = field_of(&hit, "longitude"),
                    *altitude = field_of(&hit, "altitude");
    CHECK(taken && taken->type == ILK_VALUE_TIME && taken->i == 1714551630000000); /* 2024-05-01 10:20:30 +02:00 */
    CHECK(make && make->type == ILK_VALUE_TEXT && strcmp(make->text, "Canon") == 0);
    CHECK(model && strcmp(model->text, "Canon EOS R5") == 0);
    CHECK(lens && strcmp(lens->text, "RF24-70mm F2.8 L IS USM") == 0);
    CHECK(latitude && latitude->type == ILK_VALUE_REAL && longitude && altitude);
    CHECK_NEAR(latitude->d, -33.8567844, 1e-6);
    CHECK_NEAR(longitude->d, 151.2152967, 1e-6);
    CHECK_NEAR(altitude->d, 12.5, 0);
    check_vector(&f, f.m, tree_path(f.dir, "a.jpg"), hit.id, "image");
    ilk_hits_free(h);
    h = search_picture(&f, f.m, tree_path(f.dir, "c.png"), 1); /* open_clip resizes indices before it makes colours */
    hit = folder_hit(h, 0);
    CHECK_STR(hit.path, "c.png");
    check_vector(&f, f.m, tree_path(f.dir, "c.png"), hit.id, "image");
    ilk_hits_free(h);
    ilk_value v, since;
    ilk_filter of = folder_filter(ILK_FILTER_EQ, "camera_make", "Canon", &v), after, both;
    ilk_value_init(&since);
    since.type = ILK_VALUE_TIME;
    since.i = 1714551630000000;
    after = of;
    after.op = ILK_FILTER_GE;
    after.field = "taken";
    after.values = &since;
    ilk_filter children[] = {of, after};
    ilk_filter_init(&both);
    both.op = ILK_FILTER_AND;
    both.children = children;
    both.n_children = 2;
    uint64_t n = 0;
    CHECK_OK(ilk_store_count(f.s, &both, &n, &f.err), &f.err);
    CHECK_INT(n, 2);
    ilk_ingest_options o = folder_options(&f);
    o.no_exif = 1;
    CHECK_OK(folder_ingest(&f, f.dir, &o), &f.err);
    CHECK_TOLD(&f, "indexed a.jpg");
    CHECK_INT(n_of(&f, "camera_make", "Canon"), 0);
    h = search_picture(&f, f.m, tree_path(f.dir, "c.png"), 9);
    for (size_t i = 0; i < ilk_hits_get_count(h, 0); i++) {
        hit = folder_hit(h, i);
        CHECK(!field_of(&hit, "taken") && !field_of(&hit, "latitude"));
        if (strcmp(hit.path, "a.jpg") == 0) { /* it is to be turned, and was not */
            check_int(&hit, "width", 19);
            check_int(&hit, "height", 11);
        }
    }
    ilk_hits_free(h);
    o = folder_options(&f); /* what nobody says is as it was */
    CHECK_OK(folder_ingest(&f, f.dir, &o), &f.err);
    CHECK_TOLD(&f, "unchanged a.jpg");
    o.no_exif = -1;
    o.ocr = "";
    CHECK_OK(folder_ingest(&f, f.dir, &o), &f.err);
    CHECK_TOLD(&f, "indexed a.jpg");
    CHECK(n_of(&f, "camera_make", "Canon") > 0);
    o = folder_options(&f);
    CHECK_OK(folder_ingest(&f, f.dir, &o), &f.err);
    CHECK_TOLD(&f, "unchanged a.jpg");
end:
    folder_close(&f);
}

TEST_MAIN({"beside_documents", beside_documents}, {"junk_among_pictures", junk_among_pictures},
          {"models_read_what_they_can", models_read_what_they_can}, {"eyes_alone", eyes_alone},
          {"thumbnails", thumbnails}, {"exif_becomes_fields", exif_becomes_fields})
