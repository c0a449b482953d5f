/* SPDX-License-Identifier: MIT */

/* slotproof-agent: serves the driver's requests in a guest (lib/agent-frame.h has the wire format).
 */

#include "agent/connect.h"
#include "agent/connection.h"
#include "agent/loop.h"

#include "lib/agent-frame.h"
#include "lib/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PORT_PATH "/dev/virtio-ports/" SP_AGENT_PORT

struct options {
    const char *port;
    int fd; /* -1 unless given */
};

static void print_usage(void)
{
    puts("usage: slotproof-agent [--port PATH | --fd NUMBER]\n"
         "       slotproof-agent connect HOST PORT\n"
         "\n"
         "Serve slotproof's driver from inside a machine; or carry stdin and stdout over a TCP\n"
         "connection.\n"
         "\n"
         "  --port PATH   the virtio-serial port (" PORT_PATH ")\n"
         "  --fd NUMBER   an open stream socket instead; exit when it closes\n"
         "  --help        this text\n"
         "  --version     the version");
}

static int parse_fd(const char *text)
{
    char *end;
    long fd;

    errno = 0;
    fd = strtol(text, &end, 10);
    if (errno || *end || end == text || fd < 0 || fd > 1 << 20 || fcntl((int)fd, F_GETFD) < 0)
        return -1;
    return (int)fd;
}

/* Returns 0 to go on, 1 to exit with status 0, or -EINVAL. */
static int parse_options(int argc, char **argv, struct options *options)
{
    static const struct option table[] = {
        {"port", required_argument, NULL, 'p'},
        {"fd", required_argument, NULL, 'f'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},
        {NULL, 0, NULL, 0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "", table, NULL)) != -1) {
        switch (c) {
        case 'p':
            options->port = optarg;
            break;
        case 'f':
            options->fd = parse_fd(optarg);
            if (options->fd >= 0)
                break;
            fprintf(stderr, "slotproof-agent: --fd %s is not an open descriptor\n", optarg);
            return -EINVAL;
        case 'h':
            print_usage();
            return 1;
        case 'v':
            puts("slotproof-agent " SLOTPROOF_VERSION);
            return 1;
        default:
            return -EINVAL;
        }
    }
    if (optind == argc)
        return 0;
    fprintf(stderr, "slotproof-agent: unexpected '%s'; see --help\n", argv[optind]);
    return -EINVAL;
}

/* Descriptors 0 to 2 must be taken, since commands get their own streams there. */
static void open_standard_streams(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

/* The C library never changes the two signals that it reserves for itself. If they were ignored
 * when we were started, commands would inherit that. */
static void default_reserved_signals(void)
{
    const struct {
        void *handler;
        unsigned long flags, restorer, mask;
    } action = {0};

    for (int number = 32; number < SIGRTMIN; number++)
        syscall(SYS_rt_sigaction, number, &action, NULL, sizeof action.mask);
}

static void on_ending_signal(void *data, uint32_t events)
{
    loop_end(data);
}

/* Returns a descriptor that the loop watches, or a negative errno. */
static int watch_ending_signals(struct loop *loop)
{
    sp_auto_close int fd = -1;
    struct loop_source *source;
    sigset_t ending;
    int r;

    sigemptyset(&ending);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGINT);
    if (sigprocmask(SIG_BLOCK, &ending, NULL) < 0)
        return -errno;
    fd = signalfd(-1, &ending, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    r = loop_add_fd(loop, fd, EPOLLIN, on_ending_signal, loop, &source);
    return r < 0 ? r : sp_steal_fd(&fd);
}

static int serve_driver(struct loop *loop, const struct options *options)
{
    struct connection *connection = NULL;
    int r;

    r = options->fd >= 0 ? connection_new_fd(loop, options->fd, &connection)
                         : connection_new_port(loop, options->port, &connection);
    while (r >= 0 && !loop_has_ended(loop)) {
        r = loop_turn(loop);
        connection_settle(connection);
    }
    connection_free(connection);
    return r;
}

static int run_agent(const struct options *options)
{
    sp_auto_close int signals = -1;
    struct loop *loop = NULL;
    int r;

    open_standard_streams();
    default_reserved_signals();
    signal(SIGPIPE, SIG_IGN);
    r = loop_new(&loop);
    if (r >= 0)
        r = signals = watch_ending_signals(loop);
    if (r >= 0)
        r = serve_driver(loop, options);
    loop_free(loop);
    return r;
}

int main(int argc, char **argv)
{
    struct options options = {.port = PORT_PATH, .fd = -1};
    int r;

    if (argc > 1 && strcmp(argv[1], "connect") == 0) {
        signal(SIGPIPE, SIG_IGN);
        return connect_main(argc - 1, argv + 1);
    }
    r = parse_options(argc, argv, &options);
    if (r != 0)
        return r < 0 ? 2 : 0;
    r = run_agent(&options);
    if (r < 0)
        fprintf(stderr, "slotproof-agent: %s\n", strerror(-r));
    return r < 0;
}
