#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The main job on real input: fetches all-MiniLM-L6-v2 and Debian's `manpages` package (4,300 passages, about 0.65
# million tokens), indexes the manual pages and asks three questions whose words the answers do not contain.
set -eu
cd "$(dirname "$0")/.."
tools/setup.sh build demo
model=$(tools/get_minilm.sh)
corpus=.cache/demo/manual

if [ ! -d $corpus ]; then
    echo "Fetching Debian's package 'manpages' …" >&2
    mkdir -p .cache/demo/deb
    (
        cd .cache/demo/deb
        apt-get download -qq manpages 2>/dev/null || {
            sudo=""
            [ "$(id -u)" = 0 ] || sudo=sudo
            $sudo apt-get update -qq
            apt-get download -qq manpages
        }
        dpkg-deb -x manpages_*.deb tree
    )
    mv .cache/demo/deb/tree/usr/share/man $corpus
    rm -rf .cache/demo/deb
fi

say() {
    printf '\n$ ilk %s\n' "$*"
}

say "index $corpus -m $model"
build/ilk index "$corpus" -m "$model"
cd $corpus
for question in \
    "which program gets killed when the machine runs out of memory" \
    "characters from several alphabets in one file" \
    "random numbers that nobody can guess"; do
    say "search -k 3 '$question'"
    ../../../build/ilk search -k 3 "$question"
done

cat <<'END'

What to try next, in a folder of yours:
  ilk index ~/Documents -m DIR          once; again: only what changed (DIR: .cache/all-MiniLM-L6-v2 here)
  cd ~/Documents && ilk search "…"      by meaning; -l paths alone, --json for programs
  ilk similar notes/plan.md             what else is about this
  echo "a text" | ilk embed -m DIR
  ilk help                              all commands
END
