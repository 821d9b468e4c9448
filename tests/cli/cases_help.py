# SPDX-License-Identifier: Apache-2.0
"""Help, the manual page, completions, unknown words: all made from one table."""
import os
import re
import subprocess

from harness import Place, Skip, check, equal, lacks, matches, need


def commands(place):
    text = place.run("help").out
    return re.findall(r"^  ([a-z]+) {2,}\S", text.split("Commands:")[1], re.M)


def flags_of(place, command):
    return re.findall(r"^  (?:-., |    )--([a-z0-9-]+)", place.run(command, "--help").out, re.M)


def test_without_command():
    with Place() as p:
        r = p.run()
        equal(r.status, 2, "status")
        equal(r.out, "", "standard output")
        matches(r.err, r"\Ailk: find things by meaning\n")
        check(len(r.err.split("\n")) <= 12, "about ten lines, got:\n" + r.err)
        t = p.terminal()
        equal(t.status, 2, "status on a terminal")
        matches(t.out, "Commands:")


def test_version():
    with Place() as p:
        equal(p.run("version").out, "ilk 0.1.0\n")
        equal(p.run("--version").out, "ilk 0.1.0\n")
        equal(p.run("-V").status, 0)
        equal(p.run("version", "--json").out, '{"name":"ilk","version":"0.1.0"}\n')


def test_every_command_has_help_that_begins_with_examples():
    with Place() as p:
        names = commands(p)
        check(len(names) >= 7, "commands found: %s" % names)
        for name in names:
            r = p.run(name, "--help")
            equal(r.status, 0, name)
            equal(r.err, "", name)
            matches(r.out, r"\Ailk %s: .*\n\n  \S.*\n" % name, name)
            equal(r.out, p.run("help", name).out, "ilk help " + name)
            for line in r.out.split("\n"):
                check(len(line) <= 100, "%s: a line of %d: %s" % (name, len(line), line))
        equal(p.run("help").out, p.run("--help").out)


def test_everything_names_every_flag():
    with Place() as p:
        man = p.run("help", "--man").out.replace("\\-", "-")
        shells = {s: p.run("help", "--completions", s).out for s in ("bash", "zsh", "fish")}
        for name in commands(p):
            flags = flags_of(p, name)
            check("help" in flags and "color" in flags, "%s has the common flags" % name)
            for flag in flags:
                check("--" + flag in man, "man page: --%s of %s" % (flag, name))
                check("--" + flag in shells["bash"], "bash: --%s of %s" % (flag, name))
                check("--" + flag in shells["zsh"], "zsh: --%s of %s" % (flag, name))
                check("from %s' -l %s " % (name, flag) in shells["fish"], "fish: --%s of %s" % (flag, name))


def test_unknown_words_suggest_the_nearest():
    with Place() as p:
        for args, wanted in ((["serach"], "command"), (["hepl"], "did you mean help"), (["versoin"], "did you mean version"),
                             (["version", "--jsno"], "did you mean --json"), (["version", "--colour"], "did you mean --color"),
                             (["help", "embde"], "did you mean embed"), (["--versoin"], "flag"),
                             (["zzzzzzzz"], 'unknown command "zzzzzzzz"\nTry: ilk --help')):
            r = p.run(*args)
            equal(r.status, 2, str(args))
            equal(r.out, "", str(args))
            matches(r.err, re.escape(wanted), str(args))


def test_flags_are_parsed_as_everywhere():
    with Place() as p:
        for args, wanted in ((["version", "--color"], "needs a value"), (["version", "--color=blue"], "expected one of"),
                             (["version", "--json=1"], "takes no value"), (["version", "-x"], 'unknown flag "-x"'),
                             (["version", "-\u00e9"], 'unknown flag "-\u00e9"'), (["version", "x"], "one argument too many"),
                             (["version", "--threads=0"], "whole number from 1 to 1024"),
                             (["version", "--threads", "1x"], "whole number"), (["similarity", "a"], "expected TEXT TEXT"),
                             (["version", "--threads", "99999999999999999999999"], "whole number")):
            r = p.run(*args)
            equal(r.status, 2, str(args))
            matches(r.err, wanted, str(args))
        equal(p.run("version", "-qv", "--color=never", "--threads", "2").out, "ilk 0.1.0\n")
        equal(p.run("version", "--json", "--no-json").out, "ilk 0.1.0\n")
        equal(p.run("version", "--").out, "ilk 0.1.0\n")
        equal(p.run("version", "--", "--json").status, 2, "an operand behind --")


def test_colour():
    with Place() as p:
        lacks(p.run("hepl").err, "\033")
        matches(p.run("version", "x", "--color", "always").err, "\033")
        matches(p.terminal("version", "x").out, "\033\\[")
        lacks(p.terminal("version", "x", NO_COLOR="1").out, "\033")
        lacks(p.terminal("version", "x", TERM="dumb").out, "\033")
        lacks(p.terminal("version", "x", "--color=never").out, "\033")


def test_a_terminal_is_not_steered():
    with Place() as p:
        out = p.terminal("version", "a\033[2Jb\u202e\x07", "--color=never").out
        matches(out, re.escape(r'"a\x1b[2Jb\u202e\x07"'))
        lacks(out, "\033")


def test_manual_page():
    with Place() as p:
        page = p.write("ilk.1", p.run("help", "--man").out)
        lint = subprocess.run([need("groff"), "-man", "-ww", "-z", "-Tutf8", page], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        equal(lint.stdout.decode(), "", "groff's warnings")
        if os.path.exists("/usr/bin/mandoc"):
            lint = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page], stdout=subprocess.PIPE)
            equal(lint.stdout.decode(), "", "mandoc's warnings")
        man = subprocess.run([need("man"), "--warnings", "-l", page], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        equal(man.stderr.decode(), "", "man's warnings")
        equal(man.returncode, 0, "man")
        matches(man.stdout.decode(), "find things by meaning")


def shell(p, name, *args):
    script = p.write("completion", p.run("help", "--completions", name).out)
    r = subprocess.run([need(name), *args, script], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    equal(r.stderr.decode(), "", name)
    equal(r.returncode, 0, name)
    return script


def test_completions_of_bash():
    with Place() as p:
        script = shell(p, "bash", "-n")
        for words, wanted in ((["ilk", "emb"], "embed"), (["ilk", "embed", "--fo"], "--format"),
                              (["ilk", "embed", "--format", "n"], "npy"), (["ilk", "help", "vers"], "version"),
                              (["ilk", "embed", "comp"], "completion")):
            code = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($#-1)); _ilk; printf "%s\\n" "${COMPREPLY[@]}"'
            r = subprocess.run(["bash", "-c", code, "bash", script, *words], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, cwd=p.dir)
            equal(r.stdout.decode().split()[:1], [wanted], "completion of %s %s" % (words, r.stderr.decode()))


def test_completions_of_zsh():
    with Place() as p:
        script = shell(p, "zsh", "-f", "-n")
        r = subprocess.run(["zsh", "-f", "-c", 'autoload -U compinit; compinit -D -u; source "$1"; echo $_comps[ilk]', "zsh",
                            script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=p.dir)
        equal((r.stdout.decode(), r.stderr.decode()), ("_ilk\n", ""), "zsh")


def test_completions_of_fish():
    with Place() as p:
        script = shell(p, "fish", "-n")
        r = subprocess.run(["fish", "--no-config", "-c", 'source %s; complete -C "ilk embed --form"' % script],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=p.dir, env={"HOME": p.home, "PATH": os.environ["PATH"]})
        matches(r.stdout.decode(), "--format", "fish")


def test_output_that_cannot_be_written():
    with Place() as p:
        if not os.path.exists("/dev/full"):
            raise Skip("no /dev/full here")
        with open("/dev/full", "wb") as full:
            r = p.run("help", stdout=full)
        equal(r.status, 2, "status")
        matches(r.err, "cannot write standard output: No space left")
        r = p.run("help", preexec=lambda: os.close(1))
        equal(r.status, 2, "status with standard output closed")
        read, write = os.pipe()
        os.close(read)
        r = p.run("help", stdout=write)
        os.close(write)
        equal((r.status, r.err), (0, ""), "a reader that went away")
