/* The floor: what one core can do with a datagram in Python's reach or anybody's. Receives, sends back, nothing else. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/socket.h>

int main(int argc, char **argv) {
    struct sockaddr_in me = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (argc < 2 || bind(fd, (struct sockaddr *)&me, sizeof me)) return 1;
    for (char packet[4096];;) {
        struct sockaddr_in client;
        socklen_t size = sizeof client;
        ssize_t octets = recvfrom(fd, packet, sizeof packet, 0, (struct sockaddr *)&client, &size);
        if (octets > 2) { packet[2] |= 0x80; sendto(fd, packet, octets, 0, (struct sockaddr *)&client, size); }
    }
}
