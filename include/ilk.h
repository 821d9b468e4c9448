/* SPDX-License-Identifier: Apache-2.0
 *
 * ilk: texts and pictures (later sound and video) into vectors of one space, and a durable store that finds them again.
 *
 * Reading order: simple calls, then runtime and jobs, models, stores, folders; the last section is unstable.
 *
 *   ilk_error err;                       ilk_error_init(&err);
 *   ilk_runtime *rt = NULL;              ilk_runtime_open(&rt, NULL, &err);
 *   ilk_model *m = NULL;                 ilk_model_open(&m, rt, "sentence-transformers/all-MiniLM-L6-v2", NULL, &err);
 *   float v[384];                        ilk_embed_text(m, "A red bicycle.", ILK_ROLE_NONE, v, 384, &err);
 *   ilk_model_close(m);                  ilk_runtime_close(rt);
 *
 * Rules that hold everywhere unless a function says otherwise:
 *   - A function that can fail returns ilk_status and fills the caller's ilk_error, which may be NULL. On failure `*out`
 *     is set to NULL and nothing else changes.
 *   - Strings are UTF-8 and NUL-terminated; paths are bytes as the system has them. Inputs are borrowed for the call.
 *   - close and free accept NULL. A handle outlives everything opened from it: close stores and models before the
 *     runtime.
 *   - Public structs begin with `size`: call the matching init macro, then set members. A later library reads only what
 *     an older caller knew; arrays of structs step by the `size` of their first element.
 *   - Handles may be used by several threads at once. An ilk_vectors, ilk_hits or ilk_tokens is immutable and may be
 *     read by all; an ilk_error and every option struct belong to one thread.
 *   - Log and progress callbacks run on the thread that made the call, never on a thread of the pool.
 *   - After fork the child gets ILK_FORKED from every call but the close and free functions.
 *   - No call installs a signal handler, writes to the standard streams, or ends the process.
 */
#ifndef ILK_H
#define ILK_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ILK_VERSION_MAJOR 0
#define ILK_VERSION_MINOR 1
#define ILK_VERSION_PATCH 0
#define ILK_VERSION       "0.1.0"

#if defined(__GNUC__)
#define ILK_API __attribute__((visibility("default")))
#else
#define ILK_API
#endif

/* ------------------------------------------------------------------ status */

/* name, what ilk_status_string says. Values are append-only. */
#define ILK_STATUS_LIST(X)                                                                                             \
    X(OK, "ok")                                                                                                        \
    X(BAD_ARGUMENT, "bad argument")  /* the caller's mistake: NULL, a size out of range, a contradiction */            \
    X(NO_MEMORY, "out of memory")    /* the system, or the runtime's memory ceiling */                                 \
    X(IO, "input or output failed")  /* the system refused; the message carries its reason */                          \
    X(BAD_FORMAT, "malformed input") /* a file or text that breaks its own format */                                   \
    X(CORRUPT, "corrupt data")       /* ilk's own data fails its checks */                                             \
    X(UNSUPPORTED, "not supported")  /* well-formed, but not built, or not by this backend */                          \
    X(NOT_FOUND, "not found")                                                                                          \
    X(LIMIT, "limit exceeded")  /* a stated bound on size, depth or count */                                           \
    X(MISMATCH, "does not fit") /* two things that do not belong together: dimension, model, space */                  \
    X(BUSY, "busy")             /* locked by another process, or a queue that is full */                               \
    X(CANCELLED, "cancelled")                                                                                          \
    X(DEADLINE, "deadline passed")                                                                                     \
    X(NOT_FINITE, "not a finite number") /* a NaN or infinity where none may be */                                     \
    X(FORKED, "used after fork")

typedef enum ilk_status {
#define ILK_STATUS_ENUM(name, text) ILK_##name,
    ILK_STATUS_LIST(ILK_STATUS_ENUM)
#undef ILK_STATUS_ENUM
        ILK_STATUS_COUNT
} ilk_status;

/* A constant string for a status; never NULL, also for a value out of range. */
ILK_API const char *ilk_status_string(ilk_status status);

/* What went wrong, written once by the function that saw it: object, what was expected, what was found. */
typedef struct ilk_error {
    size_t size;
    ilk_status status;
    char message[1012]; /* NUL-terminated UTF-8, cut at a character */
} ilk_error;

ILK_API void ilk_error_init_sized(void *err, size_t size);
#define ilk_error_init(err) ilk_error_init_sized((err), sizeof *(err))

/* The version of the library that runs, as "major.minor.patch". */
ILK_API const char *ilk_version(void);

/* ------------------------------------------------------------------ runtime */

typedef struct ilk_runtime ilk_runtime;
typedef struct ilk_job ilk_job;
typedef struct ilk_model ilk_model;
typedef struct ilk_store ilk_store;
typedef struct ilk_vectors ilk_vectors;
typedef struct ilk_tokens ilk_tokens;
typedef struct ilk_hits ilk_hits;

typedef enum ilk_log_level { ILK_LOG_ERROR = 1, ILK_LOG_WARN, ILK_LOG_INFO, ILK_LOG_DEBUG } ilk_log_level;
typedef void (*ilk_log_fn)(void *user, ilk_log_level level, const char *message);

typedef struct ilk_runtime_options {
    size_t size;
    unsigned n_threads; /* threads that compute, the calling one included; 0: the CPUs this process may use */
    uint64_t memory_ceiling_bytes; /* for workspaces and caches together; 0: three quarters of what the system allows */
    ilk_log_fn log;                /* NULL: silence */
    void *log_user;
    ilk_log_level log_level; /* 0: ILK_LOG_WARN */
    const char *cpu;         /* kernel tables allowed: "ref", "avx2", "avx512", "amx", "neon", a comma list, or NULL for
                                the environment's ILK_CPU and, without it, all the machine has */
    const char *media_helper;    /* path of ilk-media; NULL: beside the program, then in libexec */
    uint64_t packed_cache_bytes; /* ceiling of the folder of packed weights (ilk_packed_cache); 0: the environment's
                                    ILK_PACKED_CACHE, MiB or "off", and without it 4 GiB */
} ilk_runtime_options;

ILK_API void ilk_runtime_options_init_sized(void *opt, size_t size);
#define ilk_runtime_options_init(opt) ilk_runtime_options_init_sized((opt), sizeof *(opt))

/* Opens a runtime: thread pool, memory ceiling, kernel table. `opt` may be NULL. One per process is usual.
 * Errors: BAD_ARGUMENT (an unknown word in `cpu`, or a table this CPU lacks; more than 1024 threads), NO_MEMORY, IO
 * (no thread could be started).
 * On a CPU with AMX it asks Linux for tile data, once and for the whole process, unless `cpu` leaves AMX out: from then on
 * alternate signal stacks (sigaltstack) must have 11 KB more than before, as sysconf(_SC_MINSIGSTKSZ) says. While a
 * smaller one is in place Linux refuses, and the runtime goes without AMX. */
ILK_API ilk_status ilk_runtime_open(ilk_runtime **out, const ilk_runtime_options *opt, ilk_error *err);

/* Waits for queued work to end, stops the threads and frees the runtime. In a forked child it only frees. */
ILK_API void ilk_runtime_close(ilk_runtime *rt);

typedef struct ilk_runtime_info {
    size_t size;
    unsigned n_threads;
    unsigned n_cpus; /* CPUs this process may use */
    uint64_t memory_ceiling_bytes;
    uint64_t memory_used_bytes; /* reserved for workspaces at this moment, one that waits for its next use included */
    const char *kernels;        /* the tables in use, as "avx512,avx2,ref"; lives as long as the runtime */
    const char *cpu_features;   /* what the CPU has of what ilk could use, space-separated; likewise */
} ilk_runtime_info;

ILK_API void ilk_runtime_info_init_sized(void *info, size_t size);
#define ilk_runtime_info_init(info) ilk_runtime_info_init_sized((info), sizeof *(info))
ILK_API ilk_status ilk_runtime_get_info(const ilk_runtime *rt, ilk_runtime_info *info, ilk_error *err);

/* The folder of packed weights: see ilk_packed_cache. */
typedef struct ilk_packed_info {
    size_t size;
    char folder[1024]; /* there or not */
    uint64_t n_files, n_bytes;
    uint64_t ceiling_bytes; /* 0: switched off */
} ilk_packed_info;

ILK_API void ilk_packed_info_init_sized(void *info, size_t size);
#define ilk_packed_info_init(info) ilk_packed_info_init_sized((info), sizeof *(info))
/* Errors: NOT_FOUND (no variable says where a cache may be). */
ILK_API ilk_status ilk_runtime_get_packed_info(const ilk_runtime *rt, ilk_packed_info *info, ilk_error *err);

/* The helper program ilk-media, which reads documents of other formats in a process of its own. Strings live as long as
 * the runtime. */
typedef struct ilk_media_info {
    size_t size;
    const char *helper;  /* its path; NULL: none was found */
    const char *sandbox; /* "seccomp": it can reach no file and no network; "limits": the system has no more */
    const char *note;    /* why it is not "seccomp"; "" where it is */
    const char *reads;   /* kinds, as "html, epub, docx" */
    const char *lacks; /* kinds that this build does not read, and what is missing, as "pdf (pdftotext)"; "" for none */
} ilk_media_info;

ILK_API void ilk_media_info_init_sized(void *info, size_t size);
#define ilk_media_info_init(info) ilk_media_info_init_sized((info), sizeof *(info))

/* Starts a helper where none has run yet. Errors: UNSUPPORTED (there is none), IO (it does not start). */
ILK_API ilk_status ilk_runtime_get_media_info(ilk_runtime *rt, ilk_media_info *info, ilk_error *err);

/* ------------------------------------------------------------------ jobs */

typedef enum ilk_priority { ILK_PRIORITY_NORMAL = 0, ILK_PRIORITY_LOW = -1, ILK_PRIORITY_HIGH = 1 } ilk_priority;

/* Where a long call stands. `unit` names what is counted ("texts", "files", "bytes"). */
typedef struct ilk_progress {
    size_t size;
    const char *stage;
    const char *unit;
    uint64_t done;
    uint64_t total; /* 0: not known yet */
    uint64_t skipped;
} ilk_progress;
typedef void (*ilk_progress_fn)(void *user, const ilk_progress *progress);

/* Called once when queued work has ended, on a thread of the pool; it may call nothing of ilk but ilk_job_cancel. */
typedef void (*ilk_done_fn)(void *user, ilk_job *job);

typedef struct ilk_job_options {
    size_t size;
    ilk_priority priority;
    double deadline_seconds; /* from ilk_job_new; 0: none */
    ilk_progress_fn progress;
    void *progress_user;
    ilk_done_fn done; /* for queued work only */
    void *done_user;
} ilk_job_options;

ILK_API void ilk_job_options_init_sized(void *opt, size_t size);
#define ilk_job_options_init(opt) ilk_job_options_init_sized((opt), sizeof *(opt))

/* A job makes a long call cancellable and gives it priority, a deadline and progress. Every `ilk_job *` parameter may be
 * NULL. One job serves one call at a time. Returns NULL when memory is short or an option is malformed (a priority out
 * of range, a deadline below zero or not a number). */
ILK_API ilk_job *ilk_job_new(const ilk_job_options *opt);

/* Cancels queued work that was not waited for, waits for its end, and frees the job. */
ILK_API void ilk_job_free(ilk_job *job);

/* Asks the call that runs under the job to return ILK_CANCELLED, within 50 ms. From any thread, also from a signal
 * handler; it stays cancelled. */
ILK_API void ilk_job_cancel(ilk_job *job);

/* ------------------------------------------------------------------ models */

typedef enum ilk_precision {
    /* the fastest that keeps the vectors, where ilk_model_calibrate has decided; else f32, or int8w where the weights in
     * f32 exceed the memory ceiling */
    ILK_PRECISION_AUTO = 0,
    ILK_PRECISION_F32,
    ILK_PRECISION_BF16, /* weights and products of bf16, sums of f32 */
    ILK_PRECISION_INT8, /* weights and activations of 8 bits, the channels that dwarf the others in f32 */
    ILK_PRECISION_INT8W /* weights of 8 bits, activations of 16 */
} ilk_precision;

/* "auto", "f32", "bf16", "int8", "int8w"; NULL for what is none. */
ILK_API const char *ilk_precision_name(ilk_precision precision);

/* In what attention computes: part of every precision under f32. */
typedef enum ilk_attention {
    /* with ILK_PRECISION_AUTO what was decided with it; else bf16 where the kernels of this CPU have a fast form of it
     * (AMX), f32 where not */
    ILK_ATTENTION_AUTO = 0,
    ILK_ATTENTION_F32,
    ILK_ATTENTION_BF16 /* UNSUPPORTED at precision f32, and where the kernels have no fast form */
} ilk_attention;

/* "auto", "f32", "bf16"; NULL for what is none. */
ILK_API const char *ilk_attention_name(ilk_attention attention);

/* Both from a precision as ilk_model_info and spaces name it: "int8", or "int8+attention-f32". BAD_ARGUMENT for another. */
ILK_API ilk_status ilk_precision_parse(const char *name, ilk_precision *precision, ilk_attention *attention,
                                       ilk_error *err);

typedef enum ilk_modality {
    ILK_TEXT = 1,
    ILK_IMAGE,
    ILK_AUDIO,
    ILK_VIDEO,
    ILK_DEPTH,
    ILK_THERMAL,
    ILK_IMU
} ilk_modality;

typedef enum ilk_role { ILK_ROLE_NONE = 0, ILK_ROLE_QUERY, ILK_ROLE_DOCUMENT } ilk_role;

/* Weights are laid out anew for the CPU's kernels when a model is opened, which for a large one takes longer than all else.
 * So they are kept in $XDG_CACHE_HOME/ilk/packed, and the next open maps them: in a file of mode 0600 for each model's
 * fingerprint, precision, kernels and version, where packing would take 20 ms or more. The first open is slower for it, by
 * a hash of the weights and the writing. The least recently used go when the folder exceeds its ceiling. */
typedef enum ilk_packed_cache {
    ILK_PACKED_KEEP = 0, /* map them where they are there, write them where not */
    ILK_PACKED_LOOK,     /* map them, write none */
    ILK_PACKED_OFF       /* neither; and so with no_mmap */
} ilk_packed_cache;

typedef struct ilk_model_options {
    size_t size;
    ilk_precision precision; /* of this handle for good */
    int no_mmap;         /* read the weights instead of mapping them: safe against other programs that truncate files */
    uint32_t max_tokens; /* 0: what the checkpoint's files say; a larger value than the positions allow is refused */
    uint32_t batch_tokens; /* token budget of one pass; 0: 1024. It decides speed and memory, never a bit of a vector */
    /* a linear projection behind the model's vectors, unit length before and after it: a folder as sentence-transformers
     * saves a Dense module, or a .safetensors of linear.weight [out][in] and linear.bias [out]; NULL: none, or what stands
     * behind "#projection=" in `where` */
    const char *projection;
    ilk_packed_cache packed_cache;
    ilk_attention attention;
} ilk_model_options;

ILK_API void ilk_model_options_init_sized(void *opt, size_t size);
#define ilk_model_options_init(opt) ilk_model_options_init_sized((opt), sizeof *(opt))

/* Opens a checkpoint as published. `where`: a directory, or an id "org/name" or "org/name@revision", looked for in the
 * Hugging Face cache (HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME, ~/.cache), or a short name of ilk_known_get. An existing
 * directory wins over an id, and that over a short name, of the same spelling. Any of them may end with "#projection=PATH",
 * which is how a model with a projection is called in its info and in stores. `opt` may be NULL. Nothing is fetched, and
 * no code of a checkpoint is run.
 * Errors: NOT_FOUND, BAD_FORMAT (with file, tensor, expected and found), UNSUPPORTED, LIMIT, NO_MEMORY, IO. */
ILK_API ilk_status ilk_model_open(ilk_model **out, ilk_runtime *rt, const char *where, const ilk_model_options *opt,
                                  ilk_error *err);
ILK_API void ilk_model_close(ilk_model *m);

#define ILK_HEAD_DENSE  1u
#define ILK_HEAD_SPARSE 2u
#define ILK_HEAD_MULTI  4u
#define ILK_HEAD_SCORE  8u

typedef struct ilk_model_info {
    size_t size;
    const char *id;          /* as it was asked for, a short name as its id; strings live as long as the model */
    const char *path;        /* the directory it was read from */
    const char *family;      /* "bert" */
    const char *fingerprint; /* 64 hex digits over every file that decides a vector, or NULL until asked for with
                                ilk_model_get_fingerprint, because it costs a read of the weights */
    uint32_t dim;            /* of a dense vector */
    uint32_t heads;          /* ILK_HEAD_… or-ed */
    uint32_t modalities;     /* bit 1 << ilk_modality */
    uint32_t max_tokens;
    uint32_t vocab_size;
    uint32_t n_layers;
    uint64_t n_parameters;
    uint64_t weights_bytes; /* on disk */
    ilk_precision precision;
    const char *pooling;      /* "mean", "cls", …, "+"-joined where several are concatenated */
    int normalized;           /* vectors leave with unit length */
    const char *similarity;   /* "cosine", "dot", "euclidean", "manhattan" */
    const char *prompt_query; /* what is put before a text of that role; NULL: nothing */
    const char *prompt_document;
    const char *notes;      /* rows of the quirks table that apply, with their sources, newline-separated; or NULL */
    const char *score_kind; /* of ilk_rerank: "prob" or "logit"; NULL where the model is no reranker */
    uint32_t image_size;    /* of the pictures that the model sees: image_size x image_size; 0: it sees none */
    uint32_t patch_size;
    uint32_t image_layers;        /* of the tower of pictures; n_layers is the text's, where there is one */
    const char *image_pooling;    /* likewise, as pooling */
    const char *image_processing; /* how a picture comes to that size, in words; or NULL */
    const char *compare_by; /* what makes probabilities of a picture's scores against texts, compare_scale * cosine +
                               compare_bias: "softmax" over the texts, "sigmoid" of each; NULL: the model has none */
    float compare_scale, compare_bias;
    const char *projection;  /* path; NULL: none */
    const char *packed_file; /* of $XDG_CACHE_HOME/ilk/packed, that its packed weights are mapped from; NULL: this open
                                packed them */
    uint64_t packed_bytes;   /* its size */
    ilk_attention attention; /* F32 or BF16 */
    const char *precision_name; /* with the attention, as a space keeps it and ilk_precision_parse reads it: "int8", and
                                   "int8+attention-f32" where that was asked for or decided against the kernels' own */
} ilk_model_info;

ILK_API void ilk_model_info_init_sized(void *info, size_t size);
#define ilk_model_info_init(info) ilk_model_info_init_sized((info), sizeof *(info))
ILK_API ilk_status ilk_model_get_info(const ilk_model *m, ilk_model_info *info, ilk_error *err);

/* The prompts a checkpoint names: the i-th name and its text, borrowed from the model; NOT_FOUND past the last. */
ILK_API ilk_status ilk_model_get_prompt(const ilk_model *m, size_t i, const char **name, const char **text,
                                        ilk_error *err);

/* The SHA-256 over the sorted (role, content SHA-256) of every file that decides a vector, as 64 hex digits. The first
 * call reads the files, unless their hashes are cached by device, inode, size and time. */
ILK_API ilk_status ilk_model_get_fingerprint(ilk_model *m, ilk_job *job, const char **hex, ilk_error *err);

typedef enum ilk_part_kind {
    ILK_PART_TEXT = 1, /* data: UTF-8, n_bytes; invalid sequences count as U+FFFD */
    ILK_PART_IDS,      /* data: int32_t, shape[0] ids of this model's vocabulary, special tokens included */
    ILK_PART_PATH,     /* data: a path, NUL-terminated */
    ILK_PART_ENCODED,  /* data: the bytes of a file */
    ILK_PART_PIXELS,   /* data: uint8_t, shape = height, width, channels */
    ILK_PART_FRAMES,   /* data: uint8_t, shape = frames, height, width, channels; times */
    ILK_PART_SAMPLES,  /* data: float, shape = samples, channels; sample_rate */
    ILK_PART_ROWS      /* data: float, shape = rows, dim: input rows of a tower */
} ilk_part_kind;

/* One piece of an input. Models of text read ILK_PART_TEXT and ILK_PART_IDS; those of pictures ILK_PART_PIXELS (RGB, of
 * any size), ILK_PART_PATH and ILK_PART_ENCODED, files that ilk-media decodes to such, turned as EXIF says, and
 * ILK_PART_ROWS, patches [channel][y][x] as the processor leaves them. Others are UNSUPPORTED as yet. */
typedef struct ilk_part {
    size_t size;
    ilk_part_kind kind;
    ilk_modality modality; /* explicit, since a PNG may be depth */
    const void *data;
    size_t n_bytes;
    uint32_t shape[4];
    const double *times; /* seconds, one per frame */
    uint32_t sample_rate;
} ilk_part;

ILK_API void ilk_part_init_sized(void *part, size_t size);
#define ilk_part_init(part) ilk_part_init_sized((part), sizeof *(part))

/* An input is parts in order, with a role or a prompt. `prompt` wins over `prompt_name`, which wins over the role's. */
typedef struct ilk_input {
    size_t size;
    const ilk_part *parts;
    size_t n_parts;
    ilk_role role;
    const char *prompt;      /* put before the text as it is */
    const char *prompt_name; /* one of the checkpoint's */
    const char *instruction; /* for models that take one; otherwise UNSUPPORTED */
} ilk_input;

ILK_API void ilk_input_init_sized(void *in, size_t size);
#define ilk_input_init(in) ilk_input_init_sized((in), sizeof *(in))

typedef struct ilk_embed_options {
    size_t size;
    uint32_t dim;     /* keep the first dim entries; 0: all */
    int normalize;    /* 0: as the checkpoint says, and again after a cut by `dim`; 1: unit length; -1: as the last
                         module leaves it */
    uint32_t heads;   /* 0: ILK_HEAD_DENSE */
    int strict;       /* an input longer than the limit is an error instead of cut and flagged */
    float text_share; /* of the text in the sum of an input of text and pictures, up to 1; 0: 0.5 */
    int no_exif;      /* pictures of files are not turned as their EXIF says */
} ilk_embed_options;

ILK_API void ilk_embed_options_init_sized(void *opt, size_t size);
#define ilk_embed_options_init(opt) ilk_embed_options_init_sized((opt), sizeof *(opt))

/* Embeds n_in inputs. A vector depends on its own input alone: the same bits whatever the batch, its order and the
 * number of threads. An input that cannot be embedded gets a status of its own in the result, the call succeeds and
 * the rest is valid.
 * Errors: BAD_ARGUMENT, NO_MEMORY, CANCELLED, DEADLINE, FORKED; UNSUPPORTED for a head the model lacks. */
ILK_API ilk_status ilk_embed(ilk_model *m, const ilk_input *in, size_t n_in, const ilk_embed_options *opt, ilk_job *job,
                             ilk_vectors **out, ilk_error *err);

/* One text to one vector of the model's dimension: `dim` floats are written to `out`. MISMATCH where dim differs. */
ILK_API ilk_status ilk_embed_text(ilk_model *m, const char *text, ilk_role role, float *out, size_t dim,
                                  ilk_error *err);

typedef struct ilk_rerank_options {
    size_t size;
    int raw_scores; /* the head's own numbers, without the activation that the checkpoint names */
    int strict;     /* a pair longer than the limit is an error instead of cut, the longer text first */
} ilk_rerank_options;

ILK_API void ilk_rerank_options_init_sized(void *opt, size_t size);
#define ilk_rerank_options_init(opt) ilk_rerank_options_init_sized((opt), sizeof *(opt))

/* How well each document answers the query, by a checkpoint with a head for pairs and one label (a cross-encoder; bit
 * ILK_HEAD_SCORE of its heads): scores[i] is docs[i]'s, a larger one is better. Texts alone, without prompts. `scores`
 * holds n_docs floats, all of them written or, on an error, none to be used. A score depends on its own pair alone.
 * Errors: BAD_ARGUMENT, NO_MEMORY, CANCELLED, DEADLINE, FORKED; UNSUPPORTED for a model that is no reranker; what one
 * document fails with names it. */
ILK_API ilk_status ilk_rerank(ilk_model *m, const ilk_input *query, const ilk_input *docs, size_t n_docs,
                              const ilk_rerank_options *opt, ilk_job *job, float *scores, ilk_error *err);

ILK_API void ilk_vectors_free(ilk_vectors *v);
ILK_API size_t ilk_vectors_get_count(const ilk_vectors *v);

/* Vector i: `*n` floats, owned by v; NULL where input i failed or i is out of range. */
ILK_API const float *ilk_vectors_get_dense(const ilk_vectors *v, size_t i, size_t *n);

/* OK, or why input i has no vector; `*message` (if not NULL) is set to a string owned by v, or NULL. */
ILK_API ilk_status ilk_vectors_get_status(const ilk_vectors *v, size_t i, const char **message);

/* Tokens of input i after truncation, specials included, and through `*n_dropped` (may be NULL) how many the limit cut. */
ILK_API size_t ilk_vectors_get_tokens(const ilk_vectors *v, size_t i, size_t *n_dropped);

/* An input of text and pictures, or of several pictures, gets the sum of the unit vectors of all, at unit length: the text
 * has its share, the pictures have equal parts of the rest. Bits 1 << ilk_modality of what was added; 0 where the vector
 * is one alone. */
ILK_API uint32_t ilk_vectors_get_fused(const ilk_vectors *v, size_t i);

/* The whole batch: row i is data + i * stride, `dim` floats; rows of failed inputs are zeros. Owned by v. */
typedef struct ilk_matrix {
    size_t size;
    const float *data;
    size_t rows, dim, stride; /* stride in floats */
} ilk_matrix;
ILK_API void ilk_matrix_init_sized(void *m, size_t size);
#define ilk_matrix_init(m) ilk_matrix_init_sized((m), sizeof *(m))
ILK_API ilk_status ilk_vectors_view_matrix(const ilk_vectors *v, ilk_matrix *m, ilk_error *err);

/* The same work queued and batched with everybody else's. The inputs are borrowed until completion. `job` is required;
 * its `done` callback tells of the end, and ilk_wait takes the result once. BUSY when the job is in use. */
ILK_API ilk_status ilk_submit(ilk_model *m, const ilk_input *in, size_t n_in, const ilk_embed_options *opt,
                              ilk_job *job, ilk_error *err);
/* ilk_rerank queued likewise: pairs of several callers share passes. ilk_wait gives a row of one float for each document,
 * its score, with the bits of ilk_rerank; a document that fails has a status of its own. UNSUPPORTED at once for a model
 * that is no reranker. */
ILK_API ilk_status ilk_submit_rerank(ilk_model *m, const ilk_input *query, const ilk_input *docs, size_t n_docs,
                                     const ilk_rerank_options *opt, ilk_job *job, ilk_error *err);
ILK_API ilk_status ilk_wait(ilk_job *job, ilk_vectors **out, ilk_error *err);

/* Token ids of a text as the model reads it: specials included, cut at the limit. No prompt is put before it. */
ILK_API ilk_status ilk_tokenize(ilk_model *m, const char *text, size_t n_bytes, ilk_tokens **out, ilk_error *err);
ILK_API void ilk_tokens_free(ilk_tokens *t);
ILK_API const int32_t *ilk_tokens_get_ids(const ilk_tokens *t, size_t *n);

/* Similarity of two vectors by the model's own function; larger is nearer. */
ILK_API ilk_status ilk_model_get_similarity(const ilk_model *m, const float *a, const float *b, size_t dim,
                                            float *score, ilk_error *err);

/* ------------------------------------------------------------------ stores */

/* A store is one directory. It keeps items; an item has named vectors, typed fields and text. It needs no model.
 *
 * What an acknowledgement means: when ilk_store_upsert or ilk_store_delete returns OK, the batch survives kill -9, and
 * with ILK_SYNC_FULL (the default) the loss of power. A batch is visible as a whole or not at all. */
typedef enum ilk_sync { ILK_SYNC_FULL = 0, ILK_SYNC_NORMAL } ilk_sync;

typedef enum ilk_vector_kind { ILK_DENSE = 1, ILK_SPARSE, ILK_MULTI } ilk_vector_kind;
typedef enum ilk_metric { ILK_COSINE = 1, ILK_DOT, ILK_NEG_L2 } ilk_metric;

/* A space says what a vector is, so that only like is compared with like. `name` is the key within the store. What is
 * not known stays NULL or 0. All of it is compared when a space of the same name is ensured again, `model` only where a
 * fingerprint is missing: the same checkpoint may be named in several ways. */
typedef struct ilk_space {
    size_t size;
    const char *name;
    ilk_vector_kind kind;
    uint32_t dim;
    ilk_metric metric;
    int normalized;
    const char *fingerprint; /* of the model, 64 hex digits */
    const char *model;       /* how the model was named */
    const char *pooling;
    int32_t layer; /* -1: the last */
    const char *precision;
    const char *tokenizer;     /* mode: "default", "literal" */
    const char *prompt[2];     /* per side: query, document */
    const char *adapter[2];    /* fingerprint */
    const char *projection[2]; /* fingerprint of the model into whose space that side's vectors are projected */
} ilk_space;
ILK_API void ilk_space_init_sized(void *space, size_t size);
#define ilk_space_init(space) ilk_space_init_sized((space), sizeof *(space))

typedef enum ilk_value_type {
    ILK_VALUE_NULL = 0,
    ILK_VALUE_BOOL,
    ILK_VALUE_INT,
    ILK_VALUE_REAL,
    ILK_VALUE_TEXT,
    ILK_VALUE_BYTES,
    ILK_VALUE_TIME /* microseconds since 1970-01-01 UTC, in `i` */
} ilk_value_type;

typedef struct ilk_value {
    size_t size;
    ilk_value_type type;
    int64_t i;        /* BOOL, INT, TIME */
    double d;         /* REAL: finite */
    const char *text; /* TEXT, BYTES: n_bytes, not necessarily NUL-terminated */
    size_t n_bytes;
} ilk_value;
ILK_API void ilk_value_init_sized(void *value, size_t size);
#define ilk_value_init(value) ilk_value_init_sized((value), sizeof *(value))

typedef struct ilk_field {
    size_t size;
    const char *name; /* [A-Za-z_][A-Za-z0-9_.]*, at most 64 bytes */
    ilk_value value;
} ilk_field;
ILK_API void ilk_field_init_sized(void *field, size_t size);
#define ilk_field_init(field) ilk_field_init_sized((field), sizeof *(field))

typedef struct ilk_vector {
    size_t size;
    const char *space;
    const float *data;       /* rows * dim floats; DENSE: rows is 1; SPARSE: dim weights */
    const uint32_t *indices; /* SPARSE: dim ascending indices; else NULL */
    uint32_t rows, dim;
} ilk_vector;
ILK_API void ilk_vector_init_sized(void *vector, size_t size);
#define ilk_vector_init(vector) ilk_vector_init_sized((vector), sizeof *(vector))

/* Where in its source an item lies. Absent members are ILK_ABSENT (integers) or NaN (times, box). */
#define ILK_ABSENT UINT32_MAX
typedef struct ilk_segment {
    size_t size;
    double t0, t1;                  /* seconds */
    uint32_t page, chunk;           /* from 1; from 0 */
    uint32_t line_first, line_last; /* from 1, inclusive */
    float bbox[4];                  /* left, top, right, bottom, as shares of the page or picture */
} ilk_segment;
ILK_API void ilk_segment_init_sized(void *segment, size_t size);
#define ilk_segment_init(segment) ilk_segment_init_sized((segment), sizeof *(segment))

/* Reserved field names, kept with an item and given back in hits: "text" (the passage), "uri", "modality", "title". */
typedef struct ilk_item {
    size_t size;
    const char *id;     /* UTF-8, 1 to 512 bytes */
    const char *parent; /* id of the item it is a part of, or NULL */
    ilk_segment segment;
    const ilk_field *fields;
    size_t n_fields;
    const ilk_vector *vectors;
    size_t n_vectors;
    uint8_t content_hash[32]; /* of what the vectors were made from; zeros: none */
} ilk_item;
ILK_API void ilk_item_init_sized(void *item, size_t size);
#define ilk_item_init(item) ilk_item_init_sized((item), sizeof *(item))

typedef struct ilk_store_options {
    size_t size;
    ilk_sync sync;
    int read_only;
    int no_create; /* NOT_FOUND where there is no store */
    int no_mmap;
    int repair; /* a manifest that is missing or damaged is made again from the log files, and the log told */
} ilk_store_options;
ILK_API void ilk_store_options_init_sized(void *opt, size_t size);
#define ilk_store_options_init(opt) ilk_store_options_init_sized((opt), sizeof *(opt))

/* Opens or creates the store in directory `path`. One process writes at a time (BUSY otherwise), any number read; a
 * reader sees each batch whole. A store that belongs to another user opens read-only with a warning in the log.
 * Errors: NOT_FOUND, BUSY, IO, CORRUPT, UNSUPPORTED (a feature this version does not know), NO_MEMORY. */
ILK_API ilk_status ilk_store_open(ilk_store **out, ilk_runtime *rt, const char *path, const ilk_store_options *opt,
                                  ilk_error *err);
ILK_API void ilk_store_close(ilk_store *s);

/* Declares a space, or checks that the one of that name is the same: MISMATCH names the member that differs. */
ILK_API ilk_status ilk_store_ensure_space(ilk_store *s, const ilk_space *space, ilk_error *err);

/* The i-th space, strings borrowed from the store; NOT_FOUND past the last. */
ILK_API ilk_status ilk_store_get_space(ilk_store *s, size_t i, ilk_space *space, ilk_error *err);

/* Inserts or replaces n items as one batch: acknowledged and visible as a whole, or not at all. An id that occurs twice
 * in a batch keeps its last version.
 * Errors: BAD_ARGUMENT (names the item), MISMATCH (a space that is unknown or of another dimension), NOT_FINITE, LIMIT
 * (more than 1 GiB), IO; after an IO error of the log every later write fails until the store is opened again. */
ILK_API ilk_status ilk_store_upsert(ilk_store *s, const ilk_item *items, size_t n, ilk_job *job, ilk_error *err);

/* Deletes n items as one batch, their parts (items whose parent they are) included. Unknown ids are no error. */
ILK_API ilk_status ilk_store_delete(ilk_store *s, const char *const *ids, size_t n, ilk_error *err);

/* A filter is a tree; nothing is parsed from a string on the way to an engine. */
typedef enum ilk_filter_op {
    ILK_FILTER_AND = 1, /* children */
    ILK_FILTER_OR,      /* children */
    ILK_FILTER_NOT,     /* one child */
    ILK_FILTER_EQ,      /* field, values[0]; so the next five */
    ILK_FILTER_NE,      /* not EQ: also true where the field is absent or of a type that does not compare */
    ILK_FILTER_LT,
    ILK_FILTER_LE,
    ILK_FILTER_GT,
    ILK_FILTER_GE,
    ILK_FILTER_IN,     /* field, values */
    ILK_FILTER_PREFIX, /* field, values[0]: text */
    ILK_FILTER_EXISTS  /* field */
} ilk_filter_op;

/* Text compares by bytes, INT with REAL by value; other mixed types never match. The fields "id" and "parent" are the
 * item's own. At most 1000 nodes and 32 levels. */
typedef struct ilk_filter {
    size_t size;
    ilk_filter_op op;
    const char *field;
    const ilk_value *values;
    size_t n_values;
    const struct ilk_filter *children;
    size_t n_children;
} ilk_filter;
ILK_API void ilk_filter_init_sized(void *filter, size_t size);
#define ilk_filter_init(filter) ilk_filter_init_sized((filter), sizeof *(filter))

typedef struct ilk_query {
    size_t size;
    ilk_vector vector; /* DENSE; NULL data: no vector, all items that pass the filter, in order of id */
    uint32_t k;        /* 0: 10; at most 1,000,000 */
    const ilk_filter *filter;
    float min_score;     /* hits below it are dropped; NaN, the default: none */
    uint32_t candidates; /* how many the int8 pass hands to the exact one; 0: 4 k, at least 64 */
} ilk_query;
ILK_API void ilk_query_init_sized(void *q, size_t size);
#define ilk_query_init(q) ilk_query_init_sized((q), sizeof *(q))

/* The k nearest items for each of n_q queries; ties are broken by id.
 * Errors: BAD_ARGUMENT (a malformed filter), MISMATCH (a space that is unknown, or of another dimension), NOT_FINITE, LIMIT,
 * UNSUPPORTED, CANCELLED, DEADLINE, IO, CORRUPT, NO_MEMORY. */
ILK_API ilk_status ilk_store_search(ilk_store *s, const ilk_query *q, size_t n_q, ilk_job *job, ilk_hits **out,
                                    ilk_error *err);

/* Items by id: query i of the result holds item ids[i], or nothing where there is none. `score` is NaN. */
ILK_API ilk_status ilk_store_get(ilk_store *s, const char *const *ids, size_t n, ilk_hits **out, ilk_error *err);

/* A page of at most `limit` items that pass the filter, in order of id, after the id `after` (NULL: from the start). */
ILK_API ilk_status ilk_store_scan(ilk_store *s, const ilk_filter *filter, const char *after, size_t limit,
                                  ilk_hits **out, ilk_error *err);
ILK_API ilk_status ilk_store_count(ilk_store *s, const ilk_filter *filter, uint64_t *n, ilk_error *err);

typedef enum ilk_score_kind {
    ILK_SCORE_NONE = 0,
    ILK_SCORE_COSINE,
    ILK_SCORE_DOT,
    ILK_SCORE_NEG_L2,
    ILK_SCORE_PROB,
    ILK_SCORE_LOGIT,
    ILK_SCORE_RRF,
    ILK_SCORE_BM25,
    ILK_SCORE_SPARSE,
    ILK_SCORE_MAXSIM,
    ILK_SCORE_WEIGHTED,
    ILK_SCORE_CENTRED
} ilk_score_kind;
ILK_API const char *ilk_score_kind_string(ilk_score_kind kind);

/* One result record. Strings are owned by the ilk_hits; absent ones are NULL. A larger score is always better. */
typedef struct ilk_hit {
    size_t size;
    uint32_t rank; /* from 1 */
    const char *id;
    const char *parent;
    const char *path; /* of the source file, relative to the folder's root: bytes; NULL for items that have none */
    const char *uri;
    const char *modality;
    float score;
    ilk_score_kind score_kind;
    ilk_segment segment;
    const char *text;
    const ilk_field *fields; /* the rest of the metadata */
    size_t n_fields;
    const char *model;
    const char *collection;
} ilk_hit;
ILK_API void ilk_hit_init_sized(void *hit, size_t size);
#define ilk_hit_init(hit) ilk_hit_init_sized((hit), sizeof *(hit))

ILK_API void ilk_hits_free(ilk_hits *h);
/* Hits of a query; 0 also past the last query and for NULL. */
ILK_API size_t ilk_hits_get_count(const ilk_hits *h, size_t query);
/* Hit i of a query, the best first; its strings and fields live as long as h. NOT_FOUND past the last. */
ILK_API ilk_status ilk_hits_get(const ilk_hits *h, size_t query, size_t i, ilk_hit *hit, ilk_error *err);

/* The vector of hit i in `space`, as stored: rows * dim floats owned by h. UNSUPPORTED unless the hits come from
 * ilk_store_get. */
ILK_API ilk_status ilk_hits_get_vector(const ilk_hits *h, size_t query, size_t i, const char *space, ilk_vector *out,
                                       ilk_error *err);

typedef struct ilk_store_info {
    size_t size;
    const char *path;
    uint64_t n_items, n_sources, n_vectors, n_spaces;
    uint64_t n_deleted; /* item versions in the log that are no longer current */
    uint64_t log_bytes, derived_bytes;
    uint64_t last_lsn;
    int read_only;
} ilk_store_info;
ILK_API void ilk_store_info_init_sized(void *info, size_t size);
#define ilk_store_info_init(info) ilk_store_info_init_sized((info), sizeof *(info))
ILK_API ilk_status ilk_store_get_info(ilk_store *s, ilk_store_info *info, ilk_error *err);

/* Reads everything and compares it: log checksums, metadata against the log, codes against the vectors. Each finding is
 * told once through `found`, on the calling thread. With `repair`, derived data that is wrong is rebuilt from the log.
 * OK: sound, or made so; CORRUPT: something in the log itself is damaged, or derived data is and was not repaired. */
typedef void (*ilk_finding_fn)(void *user, const char *object, const char *finding, int repaired);
ILK_API ilk_status ilk_store_check(ilk_store *s, int repair, ilk_finding_fn found, void *user, ilk_job *job,
                                   ilk_error *err);

/* ------------------------------------------------------------------ folders */

/* What happened to one path while a folder was read. */
typedef enum ilk_event_kind {
    ILK_EVENT_INDEXED = 1, /* `reason`, where there is one, says what of it was passed over */
    ILK_EVENT_UNCHANGED,
    ILK_EVENT_MOVED,   /* same content under another path: the vectors were kept */
    ILK_EVENT_REMOVED, /* gone from the folder: its items were deleted */
    ILK_EVENT_SKIPPED, /* passed over, `reason` says why */
    ILK_EVENT_FAILED   /* could not be read, `reason` says why */
} ilk_event_kind;

typedef struct ilk_event {
    size_t size;
    ilk_event_kind kind;
    const char *path; /* relative to its root: bytes */
    const char *reason;
    uint64_t n_chunks, n_tokens;
} ilk_event;
typedef void (*ilk_event_fn)(void *user, const ilk_event *event);

typedef struct ilk_ingest_options {
    size_t size;
    uint32_t chunk_tokens;      /* 0: 200, or what the model's limit leaves */
    uint32_t overlap_tokens;    /* ILK_ABSENT, the default: an eighth of chunk_tokens */
    uint64_t max_file_bytes;    /* larger files are passed over and named; 0: 32 MiB of text */
    int hidden;                 /* also hidden files and folders */
    int no_ignore;              /* do not honour .gitignore and .ignore */
    int keep_missing;           /* leave items of files that are gone; ilk_prune removes them */
    int strict;                 /* the first file that fails ends the call */
    const char *const *exclude; /* globs in .gitignore syntax, on top of the folder's own */
    size_t n_exclude;
    ilk_event_fn event;
    void *event_user;
    /* Only tell, in events and counts, what the call would do: files are read and judged, nothing is written, embedded or
     * made. The store may be open read-only, or NULL for one that is still to be made at `where` (absolute) with `runtime`.
     * Without models (n_models 0) a file counts as unchanged where its content is, whatever it was indexed with, and
     * passages are not counted. */
    int dry_run;
    ilk_runtime *runtime;
    const char *where;
    /* 1: pictures are not turned as EXIF says, and nothing that it says is kept; -1: they are, and it is; 0: as the store's
     * pictures were read, of a new store as -1 */
    int no_exif;
    /* Languages as tesseract names them, "eng+deu": text in pictures is read, kept as the item's "text", and gets a vector of
     * the models that read text and do not see; where no model sees, pictures are indexed for their words. "": it is not
     * looked for; NULL: as the store's pictures were read, of a new store not. UNSUPPORTED where tesseract is absent or lacks a
     * language. */
    const char *ocr;
} ilk_ingest_options;
ILK_API void ilk_ingest_options_init_sized(void *opt, size_t size);
#define ilk_ingest_options_init(opt) ilk_ingest_options_init_sized((opt), sizeof *(opt))

typedef struct ilk_ingest_result {
    size_t size;
    uint64_t n_files, n_indexed, n_unchanged, n_moved, n_removed, n_skipped, n_failed;
    uint64_t n_chunks, n_tokens, n_bytes;
    double seconds;
    uint64_t n_pictures; /* of the indexed files */
} ilk_ingest_result;
ILK_API void ilk_ingest_result_init_sized(void *result, size_t size);
#define ilk_ingest_result_init(result) ilk_ingest_result_init_sized((result), sizeof *(result))

/* Reads folders and files into the store: only what changed since the last time, judged by content. Work is committed
 * in batches, so a cancelled or killed call loses at most the last one and the next call goes on from there.
 * `result` may be NULL. Errors of single files are events; the call fails for errors of the store or the model. */
ILK_API ilk_status ilk_ingest(ilk_store *s, ilk_model *const *models, size_t n_models, const char *const *paths,
                              size_t n_paths, const ilk_ingest_options *opt, ilk_job *job, ilk_ingest_result *result,
                              ilk_error *err);

/* Removes the items of files that are no longer there. With `dry_run` only the events are told. */
ILK_API ilk_status ilk_prune(ilk_store *s, int dry_run, ilk_event_fn event, void *user, ilk_job *job,
                             ilk_ingest_result *result, ilk_error *err);

/* What a file is, by its name and its first bytes. */
typedef struct ilk_file_info {
    size_t size;
    ilk_modality modality; /* ILK_TEXT or ILK_IMAGE */
    const char *kind;      /* "text", "pdf", "jpeg"; constant */
    int plain;             /* a text as it stands: neither packed nor in the format of a document */
} ilk_file_info;
ILK_API void ilk_file_info_init_sized(void *info, size_t size);
#define ilk_file_info_init(info) ilk_file_info_init_sized((info), sizeof *(info))

/* name: its path, or the last component; head: its first n bytes, 4096 are enough. Whether this build has the reader is not
 * asked. UNSUPPORTED, with what it seems to be, for everything that ilk does not read. */
ILK_API ilk_status ilk_file_probe(const char *name, const void *head, size_t n, ilk_file_info *info, ilk_error *err);

/* A document of any kind that ilk reads, as texts. */
typedef struct ilk_document ilk_document;

typedef struct ilk_document_options {
    size_t size;
    uint64_t max_file_bytes; /* likewise; 0: 32 MiB */
    uint32_t chunk_tokens;   /* as in ilk_ingest_options */
    uint32_t overlap_tokens; /* ILK_ABSENT, the default: an eighth of chunk_tokens */
} ilk_document_options;
ILK_API void ilk_document_options_init_sized(void *opt, size_t size);
#define ilk_document_options_init(opt) ilk_document_options_init_sized((opt), sizeof *(opt))

typedef struct ilk_document_info {
    size_t size;
    const char *kind;     /* "pdf", "markdown"; strings live as long as the document */
    const char *title;    /* or NULL */
    const char *language; /* of source code; or NULL */
    const char *note;     /* what of it was passed over; or NULL */
    size_t n_passages;
} ilk_document_info;
ILK_API void ilk_document_info_init_sized(void *info, size_t size);
#define ilk_document_info_init(info) ilk_document_info_init_sized((info), sizeof *(info))

typedef struct ilk_passage {
    size_t size;
    const char *text; /* UTF-8, n_bytes; owned by the document */
    size_t n_bytes;
    const char *input; /* what ilk_ingest embeds for it: behind its context, where that is short */
    size_t n_input;
    const char *context; /* heading path "Guide > Install" or symbol; "" for none */
    ilk_segment segment; /* page, chunk, lines */
} ilk_passage;
ILK_API void ilk_passage_init_sized(void *passage, size_t size);
#define ilk_passage_init(passage) ilk_passage_init_sized((passage), sizeof *(passage))

/* Reads a document as ilk_ingest does, and cuts it into passages for `m`; NULL: its sections and functions as they are. `opt`
 * may be NULL. The document stands for itself: it holds neither the file nor the model.
 * Errors: UNSUPPORTED (no document, or of a kind that this build does not read), BAD_FORMAT, LIMIT, IO, NOT_FOUND,
 * NO_MEMORY, CANCELLED, DEADLINE. */
ILK_API ilk_status ilk_document_open(ilk_document **out, ilk_runtime *rt, ilk_model *m, const char *path,
                                     const ilk_document_options *opt, ilk_job *job, ilk_error *err);
ILK_API void ilk_document_close(ilk_document *d);
ILK_API ilk_status ilk_document_get_info(const ilk_document *d, ilk_document_info *info, ilk_error *err);
/* The i-th passage, in order; NOT_FOUND past the last. */
ILK_API ilk_status ilk_document_get_passage(const ilk_document *d, size_t i, ilk_passage *passage, ilk_error *err);

/* A file that was met, as it was when it was last read. */
typedef enum ilk_source_state {
    ILK_SOURCE_INDEXED = 1,
    ILK_SOURCE_SKIPPED, /* passed over, `reason` says why */
    ILK_SOURCE_FAILED   /* could not be read, `reason` says why */
} ilk_source_state;

typedef struct ilk_source {
    size_t size;
    const char *id;   /* of its item */
    const char *path; /* as in hits: relative to the directory that holds the store, or absolute; bytes */
    ilk_source_state state;
    const char *reason; /* or NULL */
    uint64_t n_bytes;
    int64_t mtime_ns; /* of the file, nanoseconds since 1970-01-01 UTC; 0: written as it was read, to be read again */
    uint32_t n_items;
} ilk_source;
typedef int (*ilk_source_fn)(void *user, const ilk_source *source);

/* Tells every source in order of path, on the calling thread; `fn` returns 0 to stop. It may not call the store. */
ILK_API ilk_status ilk_store_list_sources(ilk_store *s, ilk_source_fn fn, void *user, ilk_error *err);

/* A question of one or more terms: texts, pictures, or inputs of both. Of several, or with a weight below 0, what is looked
 * for is the sum of the terms' unit vectors, each times its weight, at unit length; hits then have the score_kind
 * "weighted". */
typedef struct ilk_question {
    size_t size;
    const ilk_input *terms; /* role NONE: QUERY */
    size_t n_terms;
    const float *weights;  /* [n_terms], none of them 0; below 0: away from it. NULL: 1 each */
    ilk_modality modality; /* only hits of it; a hit that has none is a text; 0: all */
} ilk_question;
ILK_API void ilk_question_init_sized(void *question, size_t size);
#define ilk_question_init(question) ilk_question_init_sized((question), sizeof *(question))

/* Asks every space of the store that one of the models made, if the model reads all terms; `q` may name one space in
 * vector.space. In a space of a model that reads texts and pictures each kind is ranked by itself, because a text is nearer
 * to any other text than to the picture it describes. Where hits come from more than one such list, the lists are merged
 * by rank: the score is the sum of 1 / (60 + rank) over them and its kind "rrf", equal ones stay in the order of spaces,
 * the question's own kind first; else hits have the score of their space. q->min_score holds for the score that a hit gets. A
 * term that is longer than a model reads is cut, and the log says so (ILK_LOG_WARN). `q` may be NULL.
 * Errors: MISMATCH where no space was made by these models, where none of them reads the terms, or for another precision;
 * BAD_ARGUMENT for terms that cancel each other out; what a term could not be embedded for; UNSUPPORTED for several terms
 * in a space that compares by distance. */
ILK_API ilk_status ilk_ask(ilk_store *s, ilk_model *const *models, size_t n_models, const ilk_question *question,
                           const ilk_query *q, ilk_job *job, ilk_hits **out, ilk_error *err);

/* ilk_ask with one model and one term. */
ILK_API ilk_status ilk_search(ilk_store *s, ilk_model *m, const ilk_input *in, const ilk_query *q, ilk_job *job,
                              ilk_hits **out, ilk_error *err);

/* The nearest items to one that is stored: a file (relative to its root) or an item id; its own parts are left out. A
 * picture asks with its vector, a text with the mean of its passages', in the space that `q` names in vector.space, else
 * in the first that has one. No model is needed. `q` may be NULL.
 * Errors: NOT_FOUND (neither a file nor an item of the store, or it has no vector there), MISMATCH (no such space), and those
 * of ilk_store_search. */
ILK_API ilk_status ilk_similar(ilk_store *s, const char *path_or_id, const ilk_query *q, ilk_job *job, ilk_hits **out,
                               ilk_error *err);

/* Small pictures of indexed ones, for people to look at. They are kept in XDG_CACHE_HOME/ilk/thumbnails by the content of
 * the file, 16,384 at most, for this user alone; a picture that is gone is still shown from there. */
typedef struct ilk_thumbnails ilk_thumbnails;

typedef struct ilk_thumbnail_options {
    size_t size;
    uint32_t side; /* the longer side at most, 1 to 1024; 0: 256 */
    int no_exif;   /* not turned as EXIF says */
} ilk_thumbnail_options;
ILK_API void ilk_thumbnail_options_init_sized(void *opt, size_t size);
#define ilk_thumbnail_options_init(opt) ilk_thumbnail_options_init_sized((opt), sizeof *(opt))

typedef struct ilk_thumbnail {
    size_t size;
    ilk_status status;   /* OK, or why there is none */
    const char *message; /* or NULL */
    const void *data;    /* a JPEG; owned by the ilk_thumbnails */
    size_t n_bytes;
    uint32_t width, height;
} ilk_thumbnail;
ILK_API void ilk_thumbnail_init_sized(void *thumbnail, size_t size);
#define ilk_thumbnail_init(thumbnail) ilk_thumbnail_init_sized((thumbnail), sizeof *(thumbnail))

/* Of n sources, named by their paths as hits have them. What is not in the cache is decoded, several at once, and put
 * there; where the cache cannot be written they are made all the same. A path without a picture has a status of its own; one
 * that is NULL or empty is a mistake of the call.
 * Errors: BAD_ARGUMENT, NO_MEMORY, UNSUPPORTED (the helper ilk-media is absent), CANCELLED, DEADLINE. */
ILK_API ilk_status ilk_store_get_thumbnails(ilk_store *s, const char *const *paths, size_t n,
                                            const ilk_thumbnail_options *opt, ilk_job *job, ilk_thumbnails **out,
                                            ilk_error *err);
/* The i-th; NOT_FOUND past the last. */
ILK_API ilk_status ilk_thumbnails_get(const ilk_thumbnails *t, size_t i, ilk_thumbnail *thumbnail, ilk_error *err);
ILK_API void ilk_thumbnails_free(ilk_thumbnails *t);

/* ------------------------------------------------------------------ unstable: may change in any version */

/* Floating-point multiply-adds and memory reads this machine reaches with n_threads, measured for about a second.
 * gflops_f32 counts a multiply and an add as two; gflops_f32_tiles is what f32 products made of bf16 products reach on matrix
 * tiles (AMX), counted as f32, and 0 where there are none. gops_i8 and gflops_bf16 are the multiply-adds that the other
 * precisions are made of, counted likewise; gflops_bf16 is 0 where the CPU has no instruction for them. */
typedef struct ilk_peak {
    size_t size;
    double gflops_f32;
    double read_gbytes; /* GB/s from memory far larger than the caches */
    unsigned n_threads;
    double gflops_f32_tiles;
    double gops_i8;
    double gflops_bf16;
} ilk_peak;
ILK_API void ilk_peak_init_sized(void *peak, size_t size);
#define ilk_peak_init(peak) ilk_peak_init_sized((peak), sizeof *(peak))
ILK_API ilk_status ilk_runtime_measure_peak(ilk_runtime *rt, ilk_job *job, ilk_peak *peak, ilk_error *err);

/* A published model that has a short name: `-m minilm` and ilk_model_open(…, "minilm", …) mean its id, where no directory
 * and no model of the cache is called so. Strings are constant. */
typedef struct ilk_known {
    size_t size;
    const char *name;       /* "minilm" */
    const char *id;         /* "sentence-transformers/all-MiniLM-L6-v2" */
    const char *kind;       /* "text" or "rerank" */
    const char *licence;    /* as its card has it: "apache-2.0" */
    const char *languages;  /* "English", "99 languages" */
    const char *source;     /* of this row */
    uint64_t weights_bytes; /* about */
    uint32_t dim;           /* 0: it makes no vectors */
    uint32_t max_tokens;
} ilk_known;
ILK_API void ilk_known_init_sized(void *known, size_t size);
#define ilk_known_init(known) ilk_known_init_sized((known), sizeof *(known))

/* The i-th row of the table; NOT_FOUND past the last. And the row with this short name or id. */
ILK_API ilk_status ilk_known_get(size_t i, ilk_known *known, ilk_error *err);
ILK_API ilk_status ilk_known_find(const char *name, ilk_known *known, ilk_error *err);

/* Fetching a model from the Hugging Face hub (or what HF_ENDPOINT names) into the Hugging Face cache, where ilk_model_open
 * and other programs find it. HF_TOKEN or the file of the hub's own tools give the token, which goes to the hub's host
 * alone; HF_HUB_OFFLINE forbids the fetch. Only files that ilk reads are fetched; each is checked against the hub's
 * checksum; a fetch that was interrupted, by a signal or by kill -9, goes on where it ended; the snapshot appears when it
 * is whole. Several processes may pull one model. */
typedef struct ilk_pull ilk_pull;

typedef struct ilk_pull_options {
    size_t size;
    const char *revision; /* branch, tag or commit; NULL: what the id has behind '@', else "main" */
} ilk_pull_options;
ILK_API void ilk_pull_options_init_sized(void *opt, size_t size);
#define ilk_pull_options_init(opt) ilk_pull_options_init_sized((opt), sizeof *(opt))

typedef struct ilk_pull_info {
    size_t size;
    const char *id;       /* "org/name"; strings live as long as the ilk_pull */
    const char *revision; /* as asked for */
    const char *commit;
    const char *endpoint;  /* scheme and host of the hub */
    const char *path;      /* of the snapshot: what ilk_model_open takes, once it is whole */
    const char *licence;   /* as the model's card says, or ilk's own table; NULL: neither does */
    const char *languages; /* likewise */
    int gated;             /* its owner lets in whom he will */
    uint64_t n_files;
    uint64_t n_bytes;
    uint64_t n_present_bytes; /* in the cache already, beginnings included */
} ilk_pull_info;
ILK_API void ilk_pull_info_init_sized(void *info, size_t size);
#define ilk_pull_info_init(info) ilk_pull_info_init_sized((info), sizeof *(info))

typedef struct ilk_pull_file {
    size_t size;
    const char *path; /* in the model */
    uint64_t n_bytes, n_present_bytes;
    int whole; /* nothing of it is to be fetched */
} ilk_pull_file;
ILK_API void ilk_pull_file_init_sized(void *file, size_t size);
#define ilk_pull_file_init(file) ilk_pull_file_init_sized((file), sizeof *(file))

/* Asks the hub what the model is: "org/name", "org/name@revision" or a short name of ilk_known_get. Writes nothing.
 * Errors: NOT_FOUND (no such model or revision, or a private one), IO (gated, denied, no answer), UNSUPPORTED (offline by
 * the environment; libcurl is absent; no weights that ilk reads), BAD_FORMAT (an answer that is none, names that lead out
 * of the folder), LIMIT, CANCELLED, DEADLINE. */
ILK_API ilk_status ilk_pull_open(ilk_pull **out, ilk_runtime *rt, const char *id, const ilk_pull_options *opt,
                                 ilk_job *job, ilk_error *err);
ILK_API void ilk_pull_close(ilk_pull *p);
ILK_API ilk_status ilk_pull_get_info(const ilk_pull *p, ilk_pull_info *info, ilk_error *err);
/* The i-th file, the small ones first; NOT_FOUND past the last. */
ILK_API ilk_status ilk_pull_get_file(const ilk_pull *p, size_t i, ilk_pull_file *file, ilk_error *err);

/* Fetches what is missing and shows the snapshot. Progress counts bytes. Waits for other processes that fetch the same
 * file. After an error or a cancel it may be called again and goes on. Errors also: BAD_FORMAT (a checksum or a size that
 * is not the hub's), LIMIT (the disk is too full). */
ILK_API ilk_status ilk_pull_run(ilk_pull *p, ilk_job *job, ilk_error *err);

/* All of it in one call. */
ILK_API ilk_status ilk_model_pull(ilk_runtime *rt, const char *id, const ilk_pull_options *opt, ilk_job *job,
                                  ilk_error *err);

/* The library that fetches, as "7.88.1"; NULL, with the reason in err, where it cannot be loaded. */
ILK_API const char *ilk_network_version(ilk_error *err);

/* What was measured of a model's precisions on this machine; arrays by ilk_precision, the speed 0 where one was not. */
#define ILK_CALIBRATION_PRECISIONS 16
typedef struct ilk_calibration {
    size_t size;
    ilk_precision chosen;
    int cached;       /* it was decided before, nothing was measured now */
    uint32_t n_texts; /* of ilk's own calibration texts */
    double seconds;   /* that it took */
    double tokens_per_second[ILK_CALIBRATION_PRECISIONS];
    /* to the vectors of f32 */
    double cosine_mean[ILK_CALIBRATION_PRECISIONS], cosine_least[ILK_CALIBRATION_PRECISIONS];
    double nearest_kept[ILK_CALIBRATION_PRECISIONS]; /* share of a text's ten nearest in f32 that are among its ten */
    char why[256];                                   /* the choice in words */
    /* that the figures are of, and that ILK_PRECISION_AUTO takes with the chosen one; AUTO where there is but one */
    ilk_attention attention[ILK_CALIBRATION_PRECISIONS];
    /* the speed of the chosen one with attention in bf16 over that with f32, on long texts or pictures; 0: not measured */
    double attention_gain;
} ilk_calibration;
ILK_API void ilk_calibration_init_sized(void *calibration, size_t size);
#define ilk_calibration_init(calibration) ilk_calibration_init_sized((calibration), sizeof *(calibration))

/* Decides which precision ILK_PRECISION_AUTO means for this model on this machine: the fastest with a cosine to f32 of 0.999
 * on average and 0.995 at worst, beyond 12 layers 0.998 and 0.99 with 95 % of the ten nearest kept; it must be 15 % faster
 * than what keeps better. Under f32 attention is in bf16 where the kernels have a fast form and it keeps the vectors; of the
 * chosen precision both forms are timed, and bf16 stays only where it is faster. The decision is kept in
 * XDG_CACHE_HOME/ilk/auto for this model's files, CPU, kernels and version of ilk; where it is there, nothing is measured.
 * Takes at most ten seconds, a minute beyond 150 million parameters: what there is no time for is not measured, int8 first
 * of those that are.
 * A handle never changes its precision: those opened later with ILK_PRECISION_AUTO have the one that was chosen; a program
 * that keeps vectors opens the model with the precision that their space names. Of the options precision and attention are not
 * read.
 * Where the weights in f32 exceed the memory ceiling, the reference packs them a layer at a time, f32 is no choice, and the
 * decision is kept apart from one made where they fit; tokens_per_second of f32 is then that of packing layer by layer.
 * Errors: those of ilk_model_open; UNSUPPORTED for rerankers and models of pictures, which stay f32; LIMIT where weights of
 * 8 bits exceed the memory ceiling too; BUSY where the time was not enough to measure any beside f32, and nothing is kept;
 * CANCELLED, DEADLINE. */
ILK_API ilk_status ilk_model_calibrate(ilk_runtime *rt, const char *where, const ilk_model_options *opt, ilk_job *job,
                                       ilk_calibration *out, ilk_error *err);
/* What is cached about a model that is open; NOT_FOUND where nothing is, or where its files changed since. Reads
 * none of them. */
ILK_API ilk_status ilk_model_get_calibration(ilk_model *m, ilk_calibration *out, ilk_error *err);

/* Something that a call met and passed over, or that is good to know; on the calling thread. */
typedef void (*ilk_note_fn)(void *user, const char *message);

/* Measures of retrieval, as trec_eval computes them; see ilk_eval_retrieval. */
#define ILK_EVAL_CUTS 8
typedef struct ilk_eval_scores {
    size_t size;
    const char *query; /* its id; NULL: the mean */
    uint32_t n_cuts;
    uint32_t cuts[ILK_EVAL_CUTS];                      /* ascending: 1, 5, 10, ... below k, and k */
    double ndcg[ILK_EVAL_CUTS], recall[ILK_EVAL_CUTS]; /* at each cut */
    double mrr, mrr10, map;                            /* over the whole ranking; mrr10: over its first ten */
    uint64_t n_relevant, n_retrieved, n_found;         /* documents; of the mean: sums */
} ilk_eval_scores;
typedef void (*ilk_eval_scores_fn)(void *user, const ilk_eval_scores *scores);

typedef struct ilk_eval_options {
    size_t size;
    uint32_t k;          /* documents of a ranking; 0: 100 */
    const char *split;   /* of the judgements; NULL: "test" */
    const char *run_in;  /* a run of TREC to measure instead of a model's, as it is: no reranker goes with it */
    const char *run_out; /* where the run is written */
    const char *tag;     /* its last column; NULL: "ilk" */
    int complete;        /* judged queries that the run lacks count as 0 (trec_eval -c) instead of not at all */
    int strict;          /* the first line that is junk ends the call */
    ilk_model *reranker; /* scores the first `top` documents of each ranking anew; the ranking is those alone then */
    uint32_t top;        /* 0: 100 */
    const char *prompt_query, *prompt_document; /* NULL: the model's own of that side; of sts the first for both */
    uint32_t dim;                               /* keep the first dim entries; 0: all */
    ilk_note_fn note;
    ilk_eval_scores_fn each; /* every query's measures */
    void *user;              /* of both */
} ilk_eval_options;
ILK_API void ilk_eval_options_init_sized(void *opt, size_t size);
#define ilk_eval_options_init(opt) ilk_eval_options_init_sized((opt), sizeof *(opt))

typedef struct ilk_eval_result {
    size_t size;
    ilk_eval_scores mean;
    uint64_t n_queries;   /* that `mean` is over */
    uint64_t n_missing;   /* judged, but not in the run */
    uint64_t n_documents; /* of the corpus, or named by the run */
    uint64_t n_junk;      /* lines and texts that were passed over */
    double seconds;
} ilk_eval_result;
ILK_API void ilk_eval_result_init_sized(void *result, size_t size);
#define ilk_eval_result_init(result) ilk_eval_result_init_sized((result), sizeof *(result))

/* Measures retrieval over a folder of the BEIR layout: corpus.jsonl {"_id", "title"?, "text"}, queries.jsonl {"_id", "text"},
 * qrels/SPLIT.tsv. Every judged query against every document, exactly, by the model's own similarity; title and text are
 * one text with a blank between. Equal scores are ordered by id, descending; a grade of 1 and more is relevant and its own
 * gain. `m` may be NULL where run_in is given; then only the judgements are read, and `dir` may be their file. The corpus
 * is read as a stream: memory grows with queries times k.
 * Errors: NOT_FOUND, BAD_FORMAT (nothing usable in a file, or junk with `strict`), CANCELLED, DEADLINE, IO, NO_MEMORY. */
ILK_API ilk_status ilk_eval_retrieval(ilk_runtime *rt, ilk_model *m, const char *dir, const ilk_eval_options *opt,
                                      ilk_job *job, ilk_eval_result *result, ilk_error *err);

typedef struct ilk_sts_result {
    size_t size;
    uint64_t n_pairs, n_junk;
    /* correlation of the gold scores with cosine, dot product, negated euclidean and negated manhattan distance; NaN
       where one side is constant */
    double spearman[4], pearson[4];
    double seconds;
} ilk_sts_result;
ILK_API void ilk_sts_result_init_sized(void *result, size_t size);
#define ilk_sts_result_init(result) ilk_sts_result_init_sized((result), sizeof *(result))

/* Semantic textual similarity over a file of pairs with gold scores: .csv or .tsv (with or without names of columns), or
 * .jsonl; Spearman with average ranks, and Pearson. Of the options prompt_query, dim, strict, note and user count. */
ILK_API ilk_status ilk_eval_sts(ilk_model *m, const char *file, const ilk_eval_options *opt, ilk_job *job,
                                ilk_sts_result *result, ilk_error *err);

/* A class of ilk_eval_zeroshot, once all pictures are classified. */
typedef struct ilk_zeroshot_class {
    size_t size;
    const char *id;   /* its folder or label; strings are valid in the call */
    const char *name; /* in the prompts */
    uint64_t n_pictures;
    uint64_t n_top1, n_top5; /* whose class is the first, among the first five */
} ilk_zeroshot_class;
typedef void (*ilk_zeroshot_class_fn)(void *user, const ilk_zeroshot_class *c);

typedef struct ilk_zeroshot_options {
    size_t size;
    uint32_t prompts;       /* CLIP's own, 1 ("a photo of a {}.") or the 80 of its paper; 0: 80 */
    const char *templates;  /* a file of prompts instead, one a line, {} where the class goes */
    const char *classnames; /* a file of names: "ID <tab> NAME", or one a line for all classes in order of ids */
    int strict;             /* the first file or line that is junk ends the call */
    ilk_note_fn note;
    ilk_zeroshot_class_fn each; /* every class, by id */
    void *user;                 /* of both */
} ilk_zeroshot_options;
ILK_API void ilk_zeroshot_options_init_sized(void *opt, size_t size);
#define ilk_zeroshot_options_init(opt) ilk_zeroshot_options_init_sized((opt), sizeof *(opt))

typedef struct ilk_zeroshot_result {
    size_t size;
    uint64_t n_pictures, n_classes, n_prompts; /* prompts of a class */
    uint64_t n_junk;                           /* files and lines that were passed over */
    double top1, top5;                         /* shares of the pictures */
    double mean_per_class;                     /* of top1, over the classes that have pictures */
    double seconds;
} ilk_zeroshot_result;
ILK_API void ilk_zeroshot_result_init_sized(void *result, size_t size);
#define ilk_zeroshot_result_init(result) ilk_zeroshot_result_init_sized((result), sizeof *(result))

/* Zero-shot classification, as CLIP's notebooks and open_clip have it: a class is the normalised mean of its prompts' unit
 * vectors. `place`: a folder with one folder of pictures for each class (its name with blanks for '_' goes into the prompts),
 * or a file of labels, or a folder that has labels.jsonl, .csv, .tsv or .txt: rows of "image" and "label". Of equal scores
 * the class that comes first is first. Files that are no pictures are named and counted.
 * Errors: UNSUPPORTED (a model that does not read both), NOT_FOUND, BAD_FORMAT, LIMIT, CANCELLED, DEADLINE, IO, NO_MEMORY. */
ILK_API ilk_status ilk_eval_zeroshot(ilk_model *m, const char *place, const ilk_zeroshot_options *opt, ilk_job *job,
                                     ilk_zeroshot_result *result, ilk_error *err);

/* Shares of queries with a right answer among the first 1, 5 and 10. */
#define ILK_CAPTION_CUTS 3
typedef struct ilk_captions_scores {
    size_t size;
    const char *language; /* NULL: all; valid in the call */
    uint64_t n_pictures, n_texts;
    double text_to_image[ILK_CAPTION_CUTS], image_to_text[ILK_CAPTION_CUTS];
} ilk_captions_scores;
typedef void (*ilk_captions_scores_fn)(void *user, const ilk_captions_scores *scores);

typedef struct ilk_captions_options {
    size_t size;
    const char *prompt; /* before each caption; NULL: the model's own of queries */
    int strict;         /* the first file or line that is junk ends the call */
    ilk_note_fn note;
    ilk_captions_scores_fn each; /* every language by itself */
    void *user;                  /* of both */
} ilk_captions_options;
ILK_API void ilk_captions_options_init_sized(void *opt, size_t size);
#define ilk_captions_options_init(opt) ilk_captions_options_init_sized((opt), sizeof *(opt))

typedef struct ilk_captions_result {
    size_t size;
    ilk_captions_scores all;
    uint64_t n_captions, n_junk;
    double seconds;
} ilk_captions_result;
ILK_API void ilk_captions_result_init_sized(void *result, size_t size);
#define ilk_captions_result_init(result) ilk_captions_result_init_sized((result), sizeof *(result))

/* Retrieval between pictures and captions, both ways, exactly. `place`: a file .jsonl, .csv, .tsv or .txt of rows "image" (a
 * path relative to the file's folder), "caption" (in JSON a string or a list) and, if known, "language"; a folder that has
 * such a file (captions.*, metadata.jsonl, metadata.csv); or one with NAME.txt beside pictures, a caption per line. A caption
 * that several pictures have is one text, right for all of them; a picture is right for all its captions.
 * Errors: those of ilk_eval_zeroshot. */
ILK_API ilk_status ilk_eval_captions(ilk_model *m, const char *place, const ilk_captions_options *opt, ilk_job *job,
                                     ilk_captions_result *result, ilk_error *err);

typedef struct ilk_train_options {
    size_t size;
    const char *method; /* "ridge", "procrustes"; NULL: whichever finds more of the pairs set aside to choose by */
    /* what `from` embeds: "pictures", "captions"; NULL: pictures where it sees them and `into` reads texts */
    const char *side;
    uint64_t seed; /* of which pairs are held out, and of the shuffles */
    int strict;    /* the first file or line that is junk ends the call */
    ilk_note_fn note;
    void *user;
} ilk_train_options;
ILK_API void ilk_train_options_init_sized(void *opt, size_t size);
#define ilk_train_options_init(opt) ilk_train_options_init_sized((opt), sizeof *(opt))

typedef struct ilk_train_result {
    size_t size;
    int kept;        /* the folder was written */
    char method[16]; /* that was chosen */
    double lambda;   /* of a ridge, in units of the mean variance of an entry; 0: Procrustes */
    uint64_t n_pairs, n_groups, n_junk;
    uint64_t n_test_pictures, n_test_texts; /* that were held out */
    /* Recall@5 over those: of captions that ask for pictures, of pictures that ask for captions */
    double fit[2];
    double none[2];     /* without a fit; the first entries alone where one model has more */
    double shuffled[2]; /* with the best of three fits on shuffled pairs */
    double margin;      /* fit[0] has to be above none[0] and shuffled[0] by more than this */
    double seconds;
} ilk_train_result;
ILK_API void ilk_train_result_init_sized(void *result, size_t size);
#define ilk_train_result_init(result) ilk_train_result_init_sized((result), sizeof *(result))

/* Fits a linear projection of the vectors of `from` into the space of `into` on pictures with captions, in the layouts of
 * ilk_eval_captions; both models stay as they are. Groups of pictures and captions that share something are held out as a
 * whole. It is kept where its Recall@5 on those is above that without a fit and that of a fit on shuffled pairs, by
 * more than twice the standard error; then `folder`, new or empty, gets a Dense module as sentence-transformers reads it, for
 * ilk_model_options.projection. OK also where nothing is kept: the result says so. The same result for the same input and
 * seed, on any number of threads.
 * Errors: UNSUPPORTED (models that do not read these), BUSY (the folder has something in it), BAD_FORMAT (fewer than 50
 * groups), NOT_FOUND, LIMIT, CANCELLED, DEADLINE, IO, NO_MEMORY. */
ILK_API ilk_status ilk_train_projection(ilk_model *from, ilk_model *into, const char *pairs, const char *folder,
                                        const ilk_train_options *opt, ilk_job *job, ilk_train_result *result,
                                        ilk_error *err);

/* Compares a model's vectors with vectors that somebody else made of the same texts. */
typedef struct ilk_against_options {
    size_t size;
    ilk_role role;
    const char *prompt; /* instead of the role's */
    double min_cosine;  /* rows below it are bad; 0: 0.999 */
} ilk_against_options;
ILK_API void ilk_against_options_init_sized(void *opt, size_t size);
#define ilk_against_options_init(opt) ilk_against_options_init_sized((opt), sizeof *(opt))

#define ILK_NO_ROW UINT64_MAX
typedef struct ilk_against_result {
    size_t size;
    int agree; /* as many rows as texts, of the model's dimension, none bad, of the same length */
    uint64_t n_texts, n_rows;
    uint64_t n_compared, n_bad;
    uint32_t dim, model_dim;          /* of the rows, of the model */
    double least_cosine, mean_cosine; /* over the first entries that both have */
    uint64_t first_bad, worst;        /* rows from 0; ILK_NO_ROW: none */
    double row_norm, model_norm;      /* mean lengths */
    /* what makes the rows agree, or comes nearest: "none", "prompt", "pooling", "length", "norm", "order", "count",
       "dimension", "case" or "unknown"; a sentence about it; and the cosines of the rows that were tried with it */
    char cause[16];
    char explanation[512];
    double cause_least, cause_mean;
    int explains; /* with it every row that was tried agrees */
} ilk_against_result;
ILK_API void ilk_against_result_init_sized(void *result, size_t size);
#define ilk_against_result_init(result) ilk_against_result_init_sized((result), sizeof *(result))

/* texts: a file of lines, or .jsonl {"text"}. vectors: .npy (f32, f16 or f64, C order) or .jsonl (arrays, or objects with
 * "embedding"); row i is text i's. Where they differ, variants are tried on some rows: other prompts, pooling, length and
 * order, no normalisation, a cut of the dimension, lower case. OK also where they differ: the result says so.
 * Errors: NOT_FOUND, BAD_FORMAT, NOT_FINITE, CANCELLED, DEADLINE, IO, NO_MEMORY. */
ILK_API ilk_status ilk_verify_against(ilk_model *m, const char *texts, const char *vectors,
                                      const ilk_against_options *opt, ilk_job *job, ilk_against_result *result,
                                      ilk_error *err);

/* One comparison with a published value. */
typedef struct ilk_golden {
    size_t size;
    const char *what; /* "similarity of ..." */
    double got, want, tolerance;
    int held;
    const char *skipped; /* why it was not made; NULL: it was */
    const char *source;
} ilk_golden;
typedef void (*ilk_golden_fn)(void *user, const ilk_golden *golden);

typedef struct ilk_golden_result {
    size_t size;
    const char *id; /* of the known model; constant */
    uint64_t n_held, n_failed, n_skipped;
} ilk_golden_result;
ILK_API void ilk_golden_result_init_sized(void *result, size_t size);
#define ilk_golden_result_init(result) ilk_golden_result_init_sized((result), sizeof *(result))

typedef struct ilk_verify_options {
    size_t size;
    const char *known; /* id or short name of the model; NULL: the name under which it was opened, or that of its folder
                          in the cache */
    const char *pictures; /* a folder with the pictures of the values, known by their hash; NULL: those are skipped */
    ilk_model *f32;       /* the same checkpoint at f32: adds the floor on cosines that a precision must keep */
    ilk_golden_fn each;
    void *user;
} ilk_verify_options;
ILK_API void ilk_verify_options_init_sized(void *opt, size_t size);
#define ilk_verify_options_init(opt) ilk_verify_options_init_sized((opt), sizeof *(opt))

/* Runs the golden values of a model that is known by name. Tolerances grow with the model's precision. `opt` may be NULL. A
 * value that cannot be compared is told as skipped, with the reason, and counts as such.
 * Errors: NOT_FOUND where no golden value is known of it; IO where there is no such folder of pictures. */
ILK_API ilk_status ilk_verify_known(ilk_model *m, const ilk_verify_options *opt, ilk_job *job,
                                    ilk_golden_result *result, ilk_error *err);

#ifdef __cplusplus
}
#endif
#endif
