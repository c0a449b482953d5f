/* SPDX-License-Identifier: MIT */
#include "network/frame-queue.h"

#include "base/error.h"

void sp_frame_queue_init(SpFrameQueue *kept)
{
    *kept = (SpFrameQueue){0};
    g_queue_init(&kept->frames);
}

/* The frame is owned by the caller from now on. */
static GBytes *take_out(SpFrameQueue *kept, GList *link)
{
    GBytes *frame = link->data;

    g_queue_delete_link(&kept->frames, link);
    kept->bytes -= g_bytes_get_size(frame);
    kept->first++;
    return frame;
}

void sp_frame_queue_clear(SpFrameQueue *kept)
{
    while (!g_queue_is_empty(&kept->frames))
        g_bytes_unref(take_out(kept, kept->frames.head));
}

void sp_frame_queue_add(SpFrameQueue *kept, const guint8 *frame, gsize length)
{
    g_queue_push_tail(&kept->frames, g_bytes_new(frame, length));
    kept->bytes += length;
    while (g_queue_get_length(&kept->frames) > SP_FRAME_QUEUE_MAX ||
           kept->bytes > SP_FRAME_QUEUE_BYTES_MAX)
        g_bytes_unref(take_out(kept, kept->frames.head));
}

typedef struct {
    SpFrameQueue *kept;
    SpMatchFunc match;
    void *data;
    guint64 next; /* the number of the first frame not checked yet */
    GBytes *found;
} Search;

static bool is_match(const Search *search, GBytes *bytes)
{
    gsize length;
    const guint8 *frame = g_bytes_get_data(bytes, &length);
    SpPacket packet;
    bool is_sound;

    if (!search->match)
        return true;
    is_sound = sp_packet_parse(frame, length, &packet);
    return search->match(frame, length, is_sound ? &packet : NULL, search->data);
}

static bool find_match(void *data, GError **error)
{
    Search *search = data;
    SpFrameQueue *kept = search->kept;
    guint64 seen = search->next - MIN(search->next, kept->first);

    for (GList *l = g_queue_peek_nth_link(&kept->frames, (guint)seen); l; l = l->next) {
        if (is_match(search, l->data)) {
            search->found = take_out(kept, l);
            return true;
        }
    }
    search->next = kept->first + g_queue_get_length(&kept->frames);
    return false;
}

GBytes *sp_frame_queue_take(SpFrameQueue *kept, SpMatchFunc match, void *data, gint64 deadline,
    const SpInterrupt *interrupt, GError **error)
{
    Search search = {.kept = kept, .match = match, .data = data};
    GError *local = NULL;

    if (!sp_wait(find_match, &search, deadline, interrupt, &local)) {
        if (g_error_matches(local, SP_ERROR, SP_ERROR_TIMEOUT)) {
            g_free(local->message);
            local->message = g_strdup("no such frame came in");
        }
        g_propagate_error(error, local);
    }
    return search.found;
}
