/* SPDX-License-Identifier: Apache-2.0
 * What the files of an ingest share. A file goes: met (ingest.c) -> read (reading.c) -> cut into chunks, or decoded, on the
 * pool (chunking.c, pictures.c) -> given the vectors of passages that it had before (reuse.c) -> embedded with chunks of its neighbours ->
 * written in a batch (commit.c). */
#ifndef ILKI_ENGINE_INGEST_H
#define ILKI_ENGINE_INGEST_H

#include <pthread.h>

#include "docs/docs.h"
#include "embed/embed.h"
#include "engine/collection.h"
#include "engine/known_files.h"
#include "media/series.h"
#include "media/sniff.h"
#include "text/chunk.h"

enum { ILKI_DOCUMENT, ILKI_PICTURE }; /* of settings */

/* Fields of a picture that tell the next ingest how it was read. */
#define ILKI_FIELD_OCR  "ocr"  /* text: languages in which words were looked for */
#define ILKI_FIELD_EXIF "exif" /* false: nothing of EXIF was taken */

/* What gets a vector. A passage: bytes [start, end) of the document's text; or the picture itself. */
typedef struct ilki_passage {
    size_t start, end;
    uint32_t line_first, line_last, page;
    const char *context; /* in the document's arena */
    bool prepend;        /* the context is embedded with it */
    bool picture;
    uint32_t todo;    /* bits of the models that it lacks a vector of */
    uint8_t hash[32]; /* of what is embedded */
} ilki_passage;

/* A file under way. */
typedef struct ilki_file_work {
    ilki_known *known; /* NULL: of no store */
    ilki_source had;   /* what its record was; strings are known's */
    ilki_source src;   /* what its record becomes; so are these, the reason is `reason` */
    ilk_event_kind event;
    bool drop_items; /* items of an earlier version go */
    char *reason;    /* owned; of SKIPPED and FAILED */
    ilk_status failure;
    char *data; /* content, until it is cut */
    size_t n_data;
    ilki_doc *doc;
    const char *picture; /* what kind of picture it is; NULL: a document */
    uint32_t width, height;
    ilki_media_fields *about; /* what the file says about the picture; or NULL */
    float **rows; /* of a picture: [n_models] what the model's tower reads; NULL where it is not needed (any more) */
    size_t rows_bytes; /* that they take */
    bool by_helper;    /* of a kind that the helper program reads */
    bool lacking;      /* which this build's helper cannot: another's may, so the file is looked at again */
    ilki_passage *passages;
    size_t n_passages, cap_passages;
    size_t n_embedded; /* that lack nothing */
    uint64_t n_tokens;
    float **vectors; /* [n_models][n_passages * dim] */
    size_t n_models;
} ilki_file_work;

typedef struct ilki_work_list {
    ilki_file_work **list;
    size_t n, cap;
} ilki_work_list;

typedef struct ilki_ingest {
    ilk_store *s;
    ilki_store *store;
    ilk_runtime *rt;
    const ilki_vfs *vfs;
    ilk_model *const *models;
    size_t n_models;
    const ilk_space **spaces; /* of the models; `name` is the store's */
    ilk_space *own;           /* [n_models] spaces that are not in the store yet, and the names of all */
    char (*names)[32];
    bool ensured;
    const ilk_ingest_options *opt;
    const char *ocr; /* languages of text in pictures; NULL: it is not looked for */
    char *kept_ocr;  /* owned: the same, where the store's pictures say it */
    bool no_exif, ocr_checked;
    ilk_job *job;
    ilk_ingest_result *result;
    uint32_t reads_text, sees;                 /* bits of models */
    uint32_t reads_words;                      /* of those, the models for text in pictures */
    uint8_t settings[2][32];                   /* of documents, of pictures */
    size_t measure;                            /* the model whose tokenizer counts */
    size_t chunk_tokens, overlap, room_tokens; /* room: of a passage with its context */
    uint64_t max_bytes, max_picture_bytes;
    ilki_known_files known;
    ilki_text_scratch **scratch; /* [threads] */
    unsigned n_threads;
    ilki_work_list read, open, done; /* to be cut; to be embedded; to be written */
    size_t read_bytes, read_pictures, done_bytes;
    size_t rows_bytes; /* of what is open */
    pthread_mutex_t spare_lock;
    void **spare; /* [n_models] rows that are free, for the next pictures: each begins with the address of another */
    size_t group; /* passages embedded at once */
    uint64_t committed_ns; /* when the last batch was written */
    uint64_t n_total, n_settled;
    ilk_status strict_status; /* of the first file that failed, with `strict` */
    char **unread;            /* directories that could not be read: absolute */
    size_t n_unread, cap_unread;
} ilki_ingest;

/* ---- ingest.c */

/* Tells how many files are done, of how many; on the thread that made the call. */
void ilki_engine_progress(ilki_ingest *g, bool last);

/* ---- decide.c */

/* Spaces, models, lengths and the hashes of settings; once known files are loaded. */
ilk_status ilki_engine_decide_settings(ilki_ingest *g, ilk_error *err);
/* How long a passage is: the model that leaves the least room decides, and its tokenizer counts. */
ilk_status ilki_engine_decide_room(ilki_ingest *g, ilk_error *err);
/* Was this source made as this ingest would make it? */
bool ilki_engine_same_settings(const ilki_ingest *g, const ilki_source *src);

/* ---- reading.c */

typedef struct ilki_content {
    char *data; /* owned */
    size_t n;
    ilki_sniff is; /* NOTHING: a document */
} ilki_content;

/* The whole content of a regular file that docs or one of the models would read, as it was at one moment. UNSUPPORTED:
 * passed over, with the reason in err; else: could not be read. *st is the file's state when it was read. */
ilk_status ilki_engine_read_source(const ilki_ingest *g, const char *path, const char *name, ilki_content *c,
                                   ilki_stat *st, ilk_error *err);

/* root and path of a source from an absolute path, both into the path itself; and back (freed with free()). */
void ilki_engine_locate(const ilk_store *s, const char *absolute, const char **root, const char **path);
char *ilki_engine_absolute(const ilk_store *s, const ilki_source *src);

/* ---- by_helper.c */

/* Makes w->doc of w->data, by docs or by the helper program. */
ilk_status ilki_engine_read_document(ilki_ingest *g, ilki_file_work *w, ilk_error *err);

/* ---- words.c */

/* How pictures are read, where the caller does not say it: as those of the store were. */
ilk_status ilki_engine_recall_pictures(ilki_ingest *g, ilk_error *err);
/* UNSUPPORTED where text in pictures is asked for and cannot be read. */
ilk_status ilki_engine_check_words(ilki_ingest *g, ilk_error *err);
/* Likewise where tesseract lacks a language; of a white picture, before the first real one is read, so that none loses its
 * words over it. */
ilk_status ilki_engine_check_language(ilki_ingest *g, ilk_error *err);
/* w->doc of the words in a picture. One without any, or that tesseract fails at, is a picture all the same. */
ilk_status ilki_engine_read_words(ilki_ingest *g, ilki_file_work *w, ilki_media *media, const ilki_media_picture *p,
                                  ilk_error *err);
/* Words that became passages get their mean, at unit length where the space's vectors have it, as the picture's own. */
void ilki_engine_join_words(const ilki_ingest *g, ilki_file_work *w);

/* ---- pictures.c */

/* Says what a picture gets vectors of, and takes those that it has already. */
ilk_status ilki_engine_plan_picture(ilki_ingest *g, ilki_file_work *w, ilk_error *err);
/* Is one decoding by a helper all that it needs? Then, of ilki_media_series: what is to be asked, and what becomes of the
 * answer, on the pool. */
bool ilki_engine_is_serial(ilki_ingest *g, ilki_file_work *w);
void ilki_engine_wish_picture(const ilki_ingest *g, const ilki_file_work *w, ilki_media_wish *out);
ilk_status ilki_engine_take_picture(ilki_ingest *g, ilki_file_work *w, ilki_media_picture *p, ilk_error *err);
/* What model m was given of a picture is not needed any more: another picture gets the room. */
void ilki_engine_drop_rows(ilki_ingest *g, ilki_file_work *w, size_t m);
void ilki_engine_spare_deinit(ilki_ingest *g);
/* Decodes any other and makes what its models read, and w->doc of the text in it. On the pool. */
ilk_status ilki_engine_read_picture(ilki_ingest *g, ilki_file_work *w, ilk_error *err);

/* ---- chunking.c */

/* Cuts every file of g->read and moves it to g->open, or to g->done where there is nothing to embed. */
ilk_status ilki_engine_cut(ilki_ingest *g, ilk_error *err);
/* Reads a document and cuts it into passages, with room for their vectors unless it is a dry run. On the pool. */
ilk_status ilki_engine_cut_document(ilki_ingest *g, ilki_file_work *w, ilki_text_scratch *scratch, ilk_error *err);

/* ---- reuse.c */

/* Copies the vectors of passages that the file's items already have. */
ilk_status ilki_engine_reuse(ilki_ingest *g, ilki_file_work *w, ilk_error *err);
/* The same of passage k alone, from the item that the file is. */
ilk_status ilki_engine_reuse_own(ilki_ingest *g, ilki_file_work *w, size_t k, ilk_error *err);

/* ---- commit.c */
extern const ilk_segment ilki_engine_no_place;
/* What a model reads for a passage: the text itself, or its context before it, made in the arena. NULL: no memory. */
const char *ilki_engine_passage_text(ilki_arena *a, const ilki_file_work *w, const ilki_passage *p, size_t *n);
ilki_file_work *ilki_engine_work_new(ilki_known *known, const ilki_source *had);
void ilki_engine_work_free(ilki_file_work *w);
bool ilki_engine_work_push(ilki_work_list *l, ilki_file_work *w);
void ilki_engine_work_list_deinit(ilki_work_list *l);

/* The fate of a file: it will be told when it is written. */
ilk_status ilki_engine_settle(ilki_ingest *g, ilki_file_work *w, ilk_event_kind event, const char *reason,
                              ilk_error *err);

/* Tells an event and counts it. */
void ilki_engine_tell(const ilk_ingest_options *opt, ilk_ingest_result *result, const ilk_event *event);

/* Embeds what is open until less than a group is left (`all`: until nothing is) and writes what is due. */
ilk_status ilki_engine_embed_open(ilki_ingest *g, bool all, ilk_error *err);

/* Writes everything that is done. */
ilk_status ilki_engine_commit(ilki_ingest *g, ilk_error *err);

/* ---- prune.c */

/* Deletes the items of known sources not seen that `gone` picks. */
typedef bool (*ilki_gone_fn)(void *user, const ilki_source *src);
ilk_status ilki_engine_remove(ilk_store *s, const ilki_known_files *known, ilki_gone_fn gone, void *user, bool dry_run,
                              const ilk_ingest_options *opt, ilk_job *job, ilk_ingest_result *result, ilk_error *err);

#endif
