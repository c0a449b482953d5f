/* SPDX-License-Identifier: MIT */
#include "agent.h"
#include "agent-units.h"

#include "lib/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORT_PATH "/dev/virtio-ports/" SP_AGENT_PORT
#define INPUT_SIZE (2u * (SP_FRAME_HEADER_SIZE + SP_FRAME_PAYLOAD_MAX))
/* Above this nothing more is read from commands and files; what is under way still fits. */
#define CONGESTED (1024u * 1024)
#define CHANNELS_MAX 256u
/* For a port whose other end is closed: there is no event for its opening. */
#define REOPEN_USEC 100000u

struct agent {
    sd_event *event;
    sd_event_source *io;
    sd_event_source *reopen;
    int fd;
    bool fd_is_given; /* ends with it */
    bool is_connected;
    uint8_t *input;
    size_t input_length;
    uint8_t *output;
    size_t output_length, output_sent, output_size;
    struct channel *channels;
    unsigned n_channels;
    struct units *units;
};

static const struct channel_ops *const kinds[] = {&command_ops, &put_ops, &get_ops, &watch_ops};

sd_event *agent_event(struct agent *agent)
{
    return agent->event;
}

struct units **agent_units(struct agent *agent)
{
    return &agent->units;
}

bool agent_is_congested(struct agent *agent)
{
    return agent->output_length - agent->output_sent > CONGESTED;
}

static void out_of_memory(void)
{
    /* The unit starts us anew, and the driver sees the port close. */
    fputs("slotproof-agent: out of memory\n", stderr);
    _exit(1);
}

static void want_events(struct agent *agent)
{
    bool wants = agent->output_length > agent->output_sent;

    if (agent->io)
        sd_event_source_set_io_events(agent->io, EPOLLIN | (wants ? EPOLLOUT : 0));
}

static void flush(struct agent *agent)
{
    while (agent->output_length > agent->output_sent) {
        ssize_t n = write(agent->fd, agent->output + agent->output_sent,
            agent->output_length - agent->output_sent);
        if (n <= 0)
            break; /* EAGAIN, or the reading side finds out */
        agent->output_sent += (size_t)n;
    }
    if (agent->output_sent == agent->output_length)
        agent->output_sent = agent->output_length = 0;
    want_events(agent);
}

static uint8_t *reserve(struct agent *agent, size_t length)
{
    if (agent->output_sent > CONGESTED) {
        agent->output_length -= agent->output_sent;
        memmove(agent->output, agent->output + agent->output_sent, agent->output_length);
        agent->output_sent = 0;
    }
    if (agent->output_length + length > agent->output_size) {
        size_t size = 2 * (agent->output_length + length);
        uint8_t *output = realloc(agent->output, size);
        if (!output)
            out_of_memory();
        agent->output = output;
        agent->output_size = size;
    }
    agent->output_length += length;
    return agent->output + agent->output_length - length;
}

static void send_frame(struct agent *agent, enum sp_frame_type type, enum sp_stream stream,
    uint32_t id, const void *payload, size_t length)
{
    uint8_t *out = reserve(agent, SP_FRAME_HEADER_SIZE + length);

    if (sp_frame_encode_header(out, type, (uint16_t)stream, id, length) < 0)
        out_of_memory(); /* cannot be: all callers stay within the limits */
    if (length > 0)
        memcpy(out + SP_FRAME_HEADER_SIZE, payload, length);
    want_events(agent);
}

void channel_send(struct channel *channel, enum sp_frame_type type, enum sp_stream stream,
    const void *payload, size_t length)
{
    send_frame(channel->agent, type, stream, channel->id, payload, length);
}

void channel_send_credit(struct channel *channel, uint32_t bytes)
{
    uint8_t payload[4];

    sp_put_u32(payload, bytes);
    channel_send(channel, SP_FRAME_CREDIT, SP_STREAM_STDIN, payload, sizeof payload);
}

static void channel_free(struct channel *channel)
{
    struct agent *agent = channel->agent;

    for (struct channel **p = &agent->channels; *p; p = &(*p)->next) {
        if (*p == channel) {
            *p = channel->next;
            agent->n_channels--;
            break;
        }
    }
    channel->ops->free(channel);
    free(channel);
}

void channel_exit(struct channel *channel, bool by_signal, uint32_t status)
{
    uint8_t payload[8];

    sp_put_u32(payload, by_signal);
    sp_put_u32(payload + 4, status);
    channel_send(channel, SP_FRAME_EXIT, SP_STREAM_STDIN, payload, sizeof payload);
    channel_free(channel);
}

static void send_error(struct agent *agent, uint32_t id, int error, const char *what)
{
    uint8_t payload[4 + 512];
    int length = snprintf((char *)payload + 4, sizeof payload - 4, "%s%s%s", what ? what : "",
        what ? ": " : "", strerror(-error));

    if (length < 0 || (size_t)length >= sizeof payload - 4)
        length = (int)sizeof payload - 5;
    sp_put_u32(payload, (uint32_t)-error);
    send_frame(agent, SP_FRAME_ERROR, SP_STREAM_STDIN, id, payload, 4 + (size_t)length);
}

void channel_fail(struct channel *channel, int error, const char *what)
{
    send_error(channel->agent, channel->id, error, what);
    channel_free(channel);
}

static void free_channels(struct agent *agent)
{
    while (agent->channels)
        channel_free(agent->channels);
}

static struct channel *find_channel(struct agent *agent, uint32_t id)
{
    for (struct channel *c = agent->channels; c; c = c->next) {
        if (c->id == id)
            return c;
    }
    return NULL;
}

static void open_channel(
    struct agent *agent, const struct channel_ops *ops, const struct sp_frame *frame)
{
    struct channel *channel;
    struct sp_payload payload;
    int r;

    if (agent->n_channels >= CHANNELS_MAX) {
        send_error(agent, frame->channel, -EMFILE, "too many requests at once");
        return;
    }
    channel = calloc(1, sizeof *channel);
    if (!channel)
        out_of_memory();
    *channel =
        (struct channel){.agent = agent, .ops = ops, .id = frame->channel, .next = agent->channels};
    agent->channels = channel;
    agent->n_channels++;
    sp_payload_init(&payload, frame);
    r = ops->open(channel, &payload);
    if (r < 0)
        channel_fail(channel, r, NULL);
}

static int dispatch(struct channel *channel, const struct sp_frame *frame)
{
    const struct channel_ops *ops = channel->ops;
    struct sp_payload payload;
    uint32_t number;
    uint16_t rows, columns;

    sp_payload_init(&payload, frame);
    switch (frame->type) {
    case SP_FRAME_DATA:
        return ops->data ? ops->data(channel, frame->payload, frame->length) : 0;
    case SP_FRAME_END:
        return ops->end ? ops->end(channel) : 0;
    case SP_FRAME_SIGNAL:
        if (sp_payload_take_u32(&payload, &number) < 0)
            return -EPROTO;
        return ops->signal ? ops->signal(channel, number) : 0;
    case SP_FRAME_RESIZE:
        if (sp_payload_take_u16(&payload, &rows) < 0 || sp_payload_take_u16(&payload, &columns) < 0)
            return -EPROTO;
        return ops->resize ? ops->resize(channel, rows, columns) : 0;
    case SP_FRAME_CANCEL:
        return ops->cancel ? ops->cancel(channel) : -ECANCELED;
    default:
        return -EPROTO;
    }
}

static void take_frame(struct agent *agent, const struct sp_frame *frame)
{
    struct channel *channel = find_channel(agent, frame->channel);
    int r;

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (kinds[i]->opened_by != frame->type)
            continue;
        if (channel || frame->channel == 0)
            send_error(agent, frame->channel, -EBUSY, "this channel is in use");
        else
            open_channel(agent, kinds[i], frame);
        return;
    }
    if (!channel)
        return; /* it has ended, and the driver did not know yet */
    r = dispatch(channel, frame);
    if (r < 0 && find_channel(agent, frame->channel) == channel)
        channel_fail(channel, r, NULL);
}

static void read_boot_id(uint8_t boot_id[static SP_BOOT_ID_SIZE])
{
    sp_auto_close int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    char text[36] = "";
    size_t nibble = 0;

    memset(boot_id, 0, SP_BOOT_ID_SIZE);
    if (fd < 0 || read(fd, text, sizeof text) != sizeof text)
        return;
    for (size_t i = 0; i < sizeof text && nibble < 2 * SP_BOOT_ID_SIZE; i++) {
        const char digits[] = "0123456789abcdef";
        const char *digit = memchr(digits, text[i], 16);
        if (!digit)
            continue;
        boot_id[nibble / 2] |= (uint8_t)((digit - digits) << (nibble % 2 ? 0 : 4));
        nibble++;
    }
}

static void take_hello(struct agent *agent, const struct sp_frame *frame)
{
    uint8_t reply[SP_HELLO_MAGIC_SIZE + 4 + SP_NONCE_SIZE + SP_BOOT_ID_SIZE];
    const size_t nonce_end = SP_HELLO_MAGIC_SIZE + 4 + SP_NONCE_SIZE;

    free_channels(agent);
    if (frame->length < nonce_end)
        return;
    agent->is_connected = true;
    memcpy(reply, frame->payload, nonce_end);
    sp_put_u32(reply + SP_HELLO_MAGIC_SIZE, SP_PROTOCOL_VERSION);
    read_boot_id(reply + nonce_end);
    send_frame(agent, SP_FRAME_HELLO, SP_STREAM_STDIN, 0, reply, sizeof reply);
}

/* The driver broke the protocol, or went away: wait for its next HELLO. */
static void disconnect(struct agent *agent)
{
    free_channels(agent);
    agent->is_connected = false;
    agent->output_length = agent->output_sent = 0;
    want_events(agent);
}

/* How many bytes of the input are dealt with; 0 if more are needed. */
static size_t take_one(struct agent *agent, const uint8_t *data, size_t length)
{
    const size_t keep = SP_FRAME_HEADER_SIZE + SP_HELLO_MAGIC_SIZE - 1;
    struct sp_frame frame;
    ssize_t n;

    if (!agent->is_connected) {
        n = sp_frame_find_hello(data, length);
        if (n < 0)
            return length > keep ? length - keep : 0;
        if (n > 0)
            return (size_t)n;
    }
    n = sp_frame_decode(data, length, &frame);
    if (n < 0) {
        disconnect(agent);
        return 1;
    }
    if (n == 0)
        return 0;
    if (frame.type == SP_FRAME_HELLO)
        take_hello(agent, &frame);
    else if (agent->is_connected)
        take_frame(agent, &frame);
    return (size_t)n;
}

static void take_input(struct agent *agent)
{
    size_t used = 0, n;

    while (used < agent->input_length &&
           (n = take_one(agent, agent->input + used, agent->input_length - used)) > 0)
        used += n;
    agent->input_length -= used;
    memmove(agent->input, agent->input + used, agent->input_length);
}

static void resume_channels(struct agent *agent)
{
    struct channel *next;

    for (struct channel *c = agent->channels; c && !agent_is_congested(agent); c = next) {
        next = c->next;
        if (c->ops->resume)
            c->ops->resume(c);
    }
}

static int on_reopen(sd_event_source *source, uint64_t usec, void *data)
{
    struct agent *agent = data;

    return sd_event_source_set_enabled(agent->io, SD_EVENT_ON);
}

static int on_hangup(struct agent *agent)
{
    disconnect(agent);
    agent->input_length = 0;
    if (agent->fd_is_given)
        return sd_event_exit(agent->event, 0);
    /* Level-triggered for as long as nobody is at the other end: look again later. */
    sd_event_source_set_enabled(agent->io, SD_EVENT_OFF);
    agent->reopen = sd_event_source_unref(agent->reopen);
    return sd_event_add_time_relative(
        agent->event, &agent->reopen, CLOCK_MONOTONIC, REOPEN_USEC, 0, on_reopen, agent);
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *data)
{
    struct agent *agent = data;
    ssize_t n;

    if (events & EPOLLOUT) {
        flush(agent);
        if (!agent_is_congested(agent))
            resume_channels(agent);
    }
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        n = read(fd, agent->input + agent->input_length, INPUT_SIZE - agent->input_length);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            return on_hangup(agent);
        if (n > 0) {
            agent->input_length += (size_t)n;
            take_input(agent);
        }
    }
    flush(agent);
    return 0;
}

static int run(struct agent *agent)
{
    int r = sd_event_default(&agent->event);

    if (r >= 0)
        r = sd_event_add_io(agent->event, &agent->io, agent->fd, EPOLLIN, on_io, agent);
    if (r < 0)
        return r;
    /* Requests before their output: a cancel must not wait behind what it cancels. */
    sd_event_source_set_priority(agent->io, SD_EVENT_PRIORITY_IMPORTANT);
    return sd_event_loop(agent->event);
}

static void usage(void)
{
    puts("usage: slotproof-agent [--port PATH | --fd NUMBER]\n"
         "\n"
         "Serve slotproof's driver from inside a machine.\n"
         "\n"
         "  --port PATH   the virtio-serial port (" PORT_PATH ")\n"
         "  --fd NUMBER   an open stream socket instead; ends when it closes\n"
         "  --help        this text\n"
         "  --version     the version");
}

static int parse(int argc, char **argv, struct agent *agent, const char **ret_port)
{
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'},
        {"fd", required_argument, NULL, 'f'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},
        {NULL, 0, NULL, 0},
    };
    char *end;
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'p') {
            *ret_port = optarg;
        } else if (c == 'f') {
            agent->fd = (int)strtol(optarg, &end, 10);
            agent->fd_is_given = true;
            if (*end || agent->fd < 0 || fcntl(agent->fd, F_SETFD, FD_CLOEXEC) < 0) {
                fprintf(stderr, "slotproof-agent: --fd %s is no open descriptor\n", optarg);
                return 2;
            }
        } else if (c == 'h') {
            usage();
            exit(0);
        } else if (c == 'v') {
            puts("slotproof-agent " SLOTPROOF_VERSION);
            exit(0);
        } else {
            return 2;
        }
    }
    if (optind < argc)
        fprintf(stderr, "slotproof-agent: unexpected '%s'; see --help\n", argv[optind]);
    return optind < argc ? 2 : 0;
}

int main(int argc, char **argv)
{
    struct agent agent = {.fd = -1};
    const char *port = PORT_PATH;
    int r = parse(argc, argv, &agent, &port);

    if (r != 0)
        return r;
    signal(SIGPIPE, SIG_IGN);
    agent.input = malloc(INPUT_SIZE);
    if (!agent.input)
        out_of_memory();
    if (agent.fd < 0)
        agent.fd = open(port, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (agent.fd < 0) {
        fprintf(stderr, "slotproof-agent: %s: %s\n", port, strerror(errno));
        return 1;
    }
    fcntl(agent.fd, F_SETFL, fcntl(agent.fd, F_GETFL) | O_NONBLOCK);
    r = run(&agent);
    free_channels(&agent);
    units_free(agent.units);
    sd_event_source_unref(agent.io);
    sd_event_source_unref(agent.reopen);
    sd_event_unref(agent.event);
    free(agent.input);
    free(agent.output);
    close(agent.fd);
    if (r < 0)
        fprintf(stderr, "slotproof-agent: %s\n", strerror(-r));
    return r < 0;
}
