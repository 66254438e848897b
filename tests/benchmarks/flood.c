/* A flood over UDP from addresses that look foreign: PORT RATE SECONDS FILE. Each socket is one of 127.1.N.1, so each is a /24 of its
   own; FILE has queries, each after its length in two octets. Nobody reads what comes back. Prints how many were sent. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { SOCKETS = 64, QUERIES = 64, BATCH = 32 };

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec + at.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
    if (argc < 5) return 2;
    double rate = atof(argv[2]), seconds = atof(argv[3]);
    FILE *file = fopen(argv[4], "rb");
    if (!file) return 3;
    static char packets[QUERIES][512];
    static int sizes[QUERIES], sockets[SOCKETS];
    int queries = 0, high, low;
    while (queries < QUERIES && (high = getc(file)) != EOF && (low = getc(file)) != EOF) {
        sizes[queries] = high << 8 | low;
        if (sizes[queries] > 512 || fread(packets[queries], 1, sizes[queries], file) != (size_t)sizes[queries]) return 4;
        queries++;
    }
    if (!queries) return 4;
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (int n = 0, least = 1; n < SOCKETS; n++) {
        struct sockaddr_in me = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7F010001 + (n << 8))};
        sockets[n] = socket(AF_INET, SOCK_DGRAM, 0);
        setsockopt(sockets[n], SOL_SOCKET, SO_RCVBUF, &least, sizeof least);
        if (bind(sockets[n], (struct sockaddr *)&me, sizeof me) || connect(sockets[n], (struct sockaddr *)&server, sizeof server)) return 5;
    }
    struct mmsghdr batch[BATCH];
    struct iovec parts[BATCH];
    long sent = 0, from = 0, what = 0;
    double start = now(), at;
    while ((at = now()) < start + seconds) {
        if (sent > (at - start) * rate) {
            struct timespec pause = {0, 100000};
            nanosleep(&pause, NULL);
            continue;
        }
        memset(batch, 0, sizeof batch);
        for (int n = 0; n < BATCH; n++, what = (what + 1) % queries) {
            parts[n] = (struct iovec){packets[what], sizes[what]};
            batch[n].msg_hdr = (struct msghdr){.msg_iov = &parts[n], .msg_iovlen = 1};
        }
        int done = sendmmsg(sockets[from++ % SOCKETS], batch, BATCH, 0);
        if (done > 0) sent += done;
    }
    printf("%ld\n", sent);
}
