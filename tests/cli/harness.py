# SPDX-License-Identifier: Apache-2.0
"""What the tests of the command line stand on: running the program through pipes or on a pseudo-terminal, in a home of
its own, and checks that go on after a failure."""
import fcntl
import os
import pty
import re
import resource
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time

# Seconds that a program may take, on a machine however busy; more where it is built with a sanitizer.
PATIENCE = 300 * int(os.environ.get("ILK_TEST_PATIENCE", "1"))

ILK = FIXTURES = None
failures = []
n_checks = 0


class Skip(Exception):
    pass


def check(held, what):
    global n_checks
    n_checks += 1
    if not held:
        frame = sys._getframe(1)
        while "harness" in frame.f_code.co_filename:
            frame = frame.f_back
        failures.append(what)
        print("%s:%d: FAILED: %s" % (os.path.basename(frame.f_code.co_filename), frame.f_lineno, what))
    return held


def equal(got, want, what="value"):
    return check(got == want, "%s:\n    got  %r\n    want %r" % (what, got, want))


def matches(text, pattern, what="text"):
    return check(re.search(pattern, text, re.M | re.S), "%s: no /%s/ in:\n%s" % (what, pattern, text))


def lacks(text, pattern, what="text"):
    return check(not re.search(pattern, text, re.M | re.S), "%s: /%s/ in:\n%s" % (what, pattern, text))


def environment(home, **more):
    """Nothing of the caller's configuration; sanitizers keep their options."""
    env = {k: v for k, v in os.environ.items() if k == "PATH" or k.endswith("SAN_OPTIONS")}
    env.update(HOME=home, LC_ALL="C.UTF-8", TERM="xterm", ILK_THREADS="2")
    env.update({k: v for k, v in more.items() if v is not None})
    return env


class Result:
    def __init__(self, status, out, err):
        self.status, self.raw, self.raw_err = status, out, err
        self.out = out.decode("utf-8", "surrogateescape")
        self.err = err.decode("utf-8", "surrogateescape")

    def __repr__(self):
        return "exit %d\n--- out\n%s\n--- err\n%s" % (self.status, self.out, self.err)


class Place:
    """A temporary home and folder; `run` works there."""

    def __init__(self):
        self.top = tempfile.mkdtemp(prefix="ilk-cli-")
        self.home = os.path.join(self.top, "home")
        self.dir = os.path.join(self.top, "work")
        os.mkdir(self.home)
        os.mkdir(self.dir)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for base, folders, _ in os.walk(self.top):
            for f in folders:
                os.chmod(os.path.join(base, f), 0o700)
        shutil.rmtree(self.top, ignore_errors=True)

    def write(self, path, text):
        path = os.path.join(os.fsencode(self.dir), os.fsencode(path))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(text if isinstance(text, bytes) else text.encode())
        return os.fsdecode(path)

    def run(self, *args, input=b"", cwd=None, timeout=PATIENCE, stdout=subprocess.PIPE, preexec=None, **env):
        p = subprocess.run([ILK, *args], input=input if isinstance(input, bytes) else input.encode(), stdout=stdout,
                           stderr=subprocess.PIPE, cwd=cwd or self.dir, env=environment(self.home, **env), timeout=timeout,
                           preexec_fn=preexec)
        return Result(p.returncode, p.stdout or b"", p.stderr)

    def start(self, *args, **env):
        return subprocess.Popen([ILK, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                cwd=self.dir, env=environment(self.home, **env))

    def terminal(self, *args, answer=b"", columns=80, timeout=PATIENCE, cwd=None, interrupt=None, **env):
        """Runs on a pseudo-terminal; everything it shows is in .out. `interrupt`: a regular expression; Ctrl-C is typed
        when the output matches it."""
        pid, fd = pty.fork()
        if pid == 0:
            os.chdir(cwd or self.dir)
            # here, not in the parent: the program asks as soon as it runs
            fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            os.execve(ILK, [ILK, *args], environment(self.home, **env))
        out, end = b"", time.monotonic() + timeout
        while time.monotonic() < end:
            if not select.select([fd], [], [], 0.1)[0]:
                continue
            try:
                data = os.read(fd, 65536)
            except OSError:
                break
            if not data:
                break
            out += data
            if answer and b"?" in out:
                os.write(fd, answer)
                answer = b""
            if interrupt and re.search(interrupt, out):
                os.write(fd, b"\x03")
                interrupt = None
        else:
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        os.close(fd)
        return Result(os.waitstatus_to_exitcode(status), out, b"")


def wait_for(condition, pause=0.01):
    """Whether it comes true; for as long as a program may take."""
    end = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < end:
        time.sleep(pause)
    return condition()


def _catches(pid, sig):
    try:
        with open("/proc/%d/status" % pid) as f:
            return int(re.search(r"^SigCgt:\s*(\w+)", f.read(), re.M).group(1), 16) >> (sig - 1) & 1
    except (OSError, AttributeError):
        return False


def _work_of(pid):
    """Seconds that a process and the children it waited for have had of the processors."""
    with open("/proc/%d/stat" % pid) as f:
        return sum(int(x) for x in f.read().rsplit(")", 1)[1].split()[11:15]) / os.sysconf("SC_CLK_TCK")


def interrupt(child, after=0.7):
    """Lets a program work for a while from when it is ready for Ctrl-C, which is then sent, and waits for the end.
    Gives its status, its output and how long it went on after that: seconds of the clock, and of work, which a busy machine
    does not stretch."""
    wait_for(lambda: child.poll() is not None or _catches(child.pid, signal.SIGINT))
    time.sleep(after)
    spent = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]) + (_work_of(child.pid) if child.poll() is None else 0)
    start = time.monotonic()
    child.send_signal(signal.SIGINT)
    out, _ = child.communicate(timeout=PATIENCE)
    worked = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]) - spent
    return child.returncode, out, time.monotonic() - start, worked


def interrupted(child):
    """The same of one that has printed nothing, ends as Ctrl-C ends a program, and soon."""
    status, out, waited, worked = interrupt(child)
    equal((status, out), (130, b""), "interrupted")
    check(min(waited, worked) < 5, "soon: %.1f s of work" % worked)


def model(name="bert-mean"):
    return os.path.join(FIXTURES, name)


def need(tool):
    path = shutil.which(tool)
    if not path:
        raise Skip("%s is not installed, or not in PATH" % tool)
    return path


NOBODY = 65534


def as_nobody(p):
    """A way to run as somebody who may not write, also where the tests are root's."""
    if os.getuid() != 0:
        return None

    def become():
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    for path in (p.top, p.home):
        os.chmod(path, 0o777)
    try:
        ok = p.run("show", model(), preexec=become).status == 0
    except OSError:
        ok = False
    if not ok:
        raise Skip("another user cannot run %s: a folder above it is closed to others" % ILK)
    return become


def run_tests(tests):
    """tests: functions; returns the exit status."""
    n_skipped = n_empty = 0
    for test in tests:
        before = n_checks
        try:
            test()
        except Skip as e:
            print("%s: SKIPPED: %s" % (test.__name__, e))
            n_skipped += 1
            continue
        except Exception as e:  # a test that breaks is a failure; the others still run
            import traceback
            traceback.print_exc(file=sys.stdout)
            failures.append("%s: %s" % (test.__name__, e))
        if n_checks == before:
            print("%s: FAILED: it checked nothing" % test.__name__)
            n_empty += 1
    print("%d tests: %d failures, %d skipped, %d checks" % (len(tests), len(failures) + n_empty, n_skipped, n_checks))
    return 1 if failures or n_empty or not tests else 77 if n_skipped == len(tests) else 0
