/* SPDX-License-Identifier: Apache-2.0
 * The processes that this one has started. */
#ifndef ILK_TEST_CHILDREN_H
#define ILK_TEST_CHILDREN_H

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

/* Sends a signal, or with 0 none, to every child of this process that nobody has waited for, dead or alive; how many took it. */
static inline int signal_children(int signal_)
{
    int n = 0, pid, parent;
    char path[300], state;
    DIR *d = opendir("/proc");
    for (struct dirent *e; d && (e = readdir(d));) {
        snprintf(path, sizeof path, "/proc/%s/stat", e->d_name);
        FILE *f = e->d_name[0] >= '0' && e->d_name[0] <= '9' ? fopen(path, "re") : NULL;
        if (f && fscanf(f, "%d %*[^)]) %c %d", &pid, &state, &parent) == 3 && parent == (int)getpid())
            n += kill((pid_t)pid, signal_) == 0;
        if (f)
            fclose(f);
    }
    if (d)
        closedir(d);
    return n;
}

#endif
