/* SPDX-License-Identifier: Apache-2.0
 * The manual page ilk(1), as roff with the man macros, from the tables. */
#include <string.h>

#include "cli.h"

static const char sections[] =
    ".SH MODELS\n"
    "A model is a directory with a checkpoint as published, or an id ORG/NAME or ORG/NAME@REVISION in the cache of\n"
    "Hugging Face, where \\fBilk pull\\fP and the hub's own tools put it, or a short name of \\fBilk models \\-\\-known\\fP.\n"
    "Only \\fBilk pull\\fP fetches anything.  Without \\fB\\-\\-model\\fP the\n"
    "store's model is used, else \\fIILK_MODEL\\fP, else \\fBmodel\\fP of the configuration, else the only model of the\n"
    "cache that fits.\n"
    ".SH STORES\n"
    "Without \\fB\\-\\-store\\fP the store is the nearest directory \\fI.ilk\\fP from the folder upwards, else a new one in\n"
    "the folder.  A folder that cannot be written has its store below \\fI$XDG_DATA_HOME/ilk/stores\\fP.\n"
    ".SH EXIT STATUS\n"
    ".TP\n0\nResults.\n.TP\n1\nThe command ran and found nothing.\n.TP\n2\nWrong usage, or a failure.\n"
    ".TP\n130, 143\nEnded by SIGINT or SIGTERM.  What was done so far is kept.\n"
    ".SH ENVIRONMENT\n"
    ".TP\nILK_MODEL, ILK_STORE, ILK_THREADS, ILK_CPU\nDefaults of \\fB\\-\\-model\\fP, \\fB\\-\\-store\\fP,\n"
    "\\fB\\-\\-threads\\fP and \\fB\\-\\-cpu\\fP.\n"
    ".TP\nHF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME\nWhere the cache of Hugging Face is; in the last one ilk's own too.\n"
    ".TP\nILK_PACKED_CACHE\n\\(lqoff\\(rq keeps no packed weights in \\fI$XDG_CACHE_HOME/ilk/packed\\fP, a number is the most MiB\n"
    "kept there (4096).  They make opening a large model several times faster; \\fBilk doctor\\fP says how large they are.\n"
    ".TP\nHF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE\nThe hub that \\fBilk pull\\fP asks, the token for it (else the file of\n"
    "\\fBhf auth login\\fP), and whether it may ask at all.  Proxies are those of libcurl: \\fIhttps_proxy\\fP and others.\n"
    ".TP\nNO_COLOR, TERM, COLUMNS\nNo colour with \\fINO_COLOR\\fP or \\fITERM=dumb\\fP.\n"
    ".SH FILES\n"
    ".TP\n.I $XDG_CONFIG_HOME/ilk/config\nLines \\(lqkey = value\\(rq.  Keys: model, store, threads, cpu, color,\n"
    "chunk\\-tokens, overlap, hidden, no\\-ignore, exclude.  A flag wins over the environment, that over the folder's\n"
    "file, that over this one.\n"
    ".TP\n.I .ilk/config\nThe same for one folder; only chunk\\-tokens, overlap, hidden, no\\-ignore, exclude and the id of\n"
    "a model may stand there.\n";

/* Dashes as such, backslashes kept, and no line that begins as a request. */
static void add_text(ilki_buf *b, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if ((s[i] == '.' || s[i] == '\'') && (i == 0 || s[i - 1] == '\n'))
            ilki_base_buf_adds(b, "\\&");
        if (s[i] == '-')
            ilki_base_buf_adds(b, "\\-");
        else if (s[i] == '\\')
            ilki_base_buf_adds(b, "\\e");
        else if (s[i] == '~')
            ilki_base_buf_adds(b, "\\(ti");
        else if (s[i] == '^')
            ilki_base_buf_adds(b, "\\(ha");
        else if (s[i] == '`')
            ilki_base_buf_adds(b, "\\(ga");
        else if (s[i] == '"')
            ilki_base_buf_adds(b, "\\(dq");
        else
            ilki_base_buf_addc(b, s[i]);
    }
}

static void add_string(ilki_buf *b, const char *s)
{
    add_text(b, s, strlen(s));
}

static void add_flag(ilki_buf *b, const cli_flag *f)
{
    ilki_base_buf_adds(b, ".TP\n");
    if (f->letter)
        ilki_base_buf_addf(b, "\\fB\\-%c\\fP, ", f->letter);
    ilki_base_buf_adds(b, "\\fB\\-\\-");
    add_string(b, f->name);
    ilki_base_buf_adds(b, "\\fP");
    if (f->arg) {
        ilki_base_buf_adds(b, f->kind == CLI_CHOICE ? " " : " \\fI");
        add_string(b, f->arg);
        ilki_base_buf_adds(b, f->kind == CLI_CHOICE ? "" : "\\fP");
    }
    ilki_base_buf_addc(b, '\n');
    add_string(b, f->help);
    ilki_base_buf_addc(b, '\n');
}

static void add_examples(ilki_buf *b, const char *examples)
{
    size_t n;
    for (const char *s = examples; *s; s += n + (s[n] == '\n')) {
        n = strcspn(s, "\n");
        const char *tab = memchr(s, '\t', n);
        size_t left = tab ? (size_t)(tab - s) : n;
        ilki_base_buf_adds(b, ".TP\n\\fB");
        add_text(b, s, left);
        ilki_base_buf_adds(b, "\\fP\n");
        if (tab)
            add_text(b, tab + 1, n - left - 1);
        ilki_base_buf_addc(b, '\n');
    }
}

static void add_command(ilki_buf *b, const cli_command *command)
{
    const cli_flag *flags[CLI_MAX_FLAGS];
    size_t n = cli_command_flags(command, flags);
    ilki_base_buf_addf(b, ".SS ilk %s \\fR[FLAGS] ", command->name);
    add_string(b, command->operands);
    ilki_base_buf_adds(b, "\\fP\n");
    add_string(b, command->summary);
    ilki_base_buf_adds(b, ".\n");
    if (command->about && *command->about) {
        ilki_base_buf_adds(b, ".PP\n");
        for (const char *s = command->about; *s;) {
            const char *end = strstr(s, "\n\n");
            size_t len = end ? (size_t)(end - s) : strlen(s);
            add_text(b, s, len);
            s += len + (end ? 2 : 0);
            ilki_base_buf_adds(b, *s ? "\n.PP\n" : "\n");
        }
    }
    for (size_t i = 0; i < n; i++) {
        bool common = false;
        for (const cli_flag *f = cli_common_flags; f->name; f++)
            common |= f == flags[i];
        if (!common)
            add_flag(b, flags[i]);
    }
    ilki_base_buf_adds(b, ".PP\nExamples:\n");
    add_examples(b, command->examples);
}

void cli_help_man(cli *c)
{
    ilki_buf b;
    ilki_base_buf_init(&b, 1 << 20);
    ilki_base_buf_addf(
        &b,
        ".\\\" Made by \"ilk help --man\"\n.TH ILK 1 \"\" \"ilk %s\" \"User Commands\"\n.nh\n.ad l\n"
        ".SH NAME\nilk \\- find things by meaning\n"
        ".SH SYNOPSIS\n\\fBilk\\fP \\fICOMMAND\\fP [FLAGS] [ARGUMENTS]\n"
        ".SH DESCRIPTION\n"
        "ilk turns texts into vectors with a model of sentence embeddings, keeps them in a store beside the\n"
        "texts, and finds passages by meaning.  Data goes to standard output, everything else to standard\n"
        "error; \\(lq\\-\\(rq is standard input.  Flags and arguments may be mixed; \\(lq\\-\\-\\(rq ends the\n"
        "flags; a switch \\fB\\-\\-x\\fP is taken back by \\fB\\-\\-no\\-x\\fP.\n"
        ".SH COMMON FLAGS\n",
        ilk_version());
    for (const cli_flag *f = cli_common_flags; f->name; f++)
        add_flag(&b, f);
    ilki_base_buf_adds(&b, ".SH COMMANDS\n");
    for (size_t i = 0; cli_commands[i]; i++)
        add_command(&b, cli_commands[i]);
    ilki_base_buf_adds(&b, sections);
    cli_put(c, ilki_base_buf_view(&b), b.len);
    ilki_base_buf_deinit(&b);
}
