/* SPDX-License-Identifier: MIT */
#include "network/capture-reader.h"

#include "network/switch.h"

#include "base/error.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdbool.h>
#include <stdio.h>

/* The first bytes of a section header, the same in either byte order. */
#define SECTION_TYPE 0x0a0d0d0au

typedef struct {
    FILE *file; /* owned by the reader once there is one */
    pcap_t *reader;
    struct bpf_program program; /* without instructions until it is compiled */
} Reading;

static void reading_clear(Reading *reading)
{
    pcap_freecode(&reading->program);
    if (reading->reader)
        pcap_close(reading->reader);
    else if (reading->file)
        fclose(reading->file);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Reading, reading_clear)

/* Done before the file is opened, so that an invalid filter is reported in any case. */
static bool compile_filter(Reading *reading, const char *filter, GError **error)
{
    pcap_t *ethernet = pcap_open_dead(DLT_EN10MB, SP_ETHERNET_FRAME_MAX);
    bool is_good;

    if (!ethernet) {
        g_set_error_literal(error, SP_ERROR, SP_ERROR_HOST, "libpcap has no memory for a filter");
        return false;
    }
    is_good = pcap_compile(ethernet, &reading->program, filter, 1, PCAP_NETMASK_UNKNOWN) == 0;
    if (!is_good)
        g_set_error(error, SP_ERROR, SP_ERROR_USAGE, "'%s' is no filter in pcap's language: %s",
            filter, pcap_geterr(ethernet));
    pcap_close(ethernet);
    return is_good;
}

/* libpcap rejects a capture that describes no interface, as long as nothing has been plugged in. */
static bool has_only_begun(FILE *file)
{
    guint32 type;

    if (!feof(file) && getc(file) != EOF)
        return false;
    rewind(file);
    return fread(&type, sizeof type, 1, file) == 1 && type == SECTION_TYPE;
}

/* Returns true with reading->reader NULL if the capture has no frames. */
static bool open_file(Reading *reading, const char *path, GError **error)
{
    char message[PCAP_ERRBUF_SIZE] = "";

    reading->file = fopen(path, "rbe");
    if (!reading->file) {
        g_set_error(error, SP_ERROR, SP_ERROR_HOST, "the capture %s can't be read: %s", path,
            g_strerror(errno));
        return false;
    }
    reading->reader = pcap_fopen_offline(reading->file, message);
    if (!reading->reader && has_only_begun(reading->file))
        return true;
    if (!reading->reader) {
        g_set_error(
            error, SP_ERROR, SP_ERROR_HOST, "%s can't be read as a capture: %s", path, message);
        return false;
    }
    if (pcap_datalink(reading->reader) == DLT_EN10MB)
        return true;
    g_set_error(error, SP_ERROR, SP_ERROR_HOST, "%s is no capture of an Ethernet", path);
    return false;
}

static bool read_frames(Reading *reading, GPtrArray *frames, const char *path, GError **error)
{
    struct pcap_pkthdr *header;
    const guint8 *bytes;
    guint64 total = 0;
    int r;

    while ((r = pcap_next_ex(reading->reader, &header, &bytes)) == 1) {
        if (pcap_offline_filter(&reading->program, header, bytes) == 0)
            continue;
        total += header->caplen;
        if (total > SP_CAPTURE_READ_MAX) {
            g_set_error(error, SP_ERROR, SP_ERROR_USAGE,
                "the filter takes more than %u MiB of %s: expected a narrower one",
                SP_CAPTURE_READ_MAX / (1024 * 1024), path);
            return false;
        }
        g_ptr_array_add(frames, g_bytes_new(bytes, header->caplen));
    }
    if (r == PCAP_ERROR_BREAK || feof(pcap_file(reading->reader)))
        return true;
    g_set_error(error, SP_ERROR, SP_ERROR_HOST, "%s can't be read as a capture: %s", path,
        pcap_geterr(reading->reader));
    return false;
}

GPtrArray *sp_capture_read_frames(const char *path, const char *filter, GError **error)
{
    g_autoptr(GPtrArray) frames = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    g_auto(Reading) reading = {0};

    if (!compile_filter(&reading, filter ? filter : "", error) || !open_file(&reading, path, error))
        return NULL;
    if (reading.reader && !read_frames(&reading, frames, path, error))
        return NULL;
    return g_steal_pointer(&frames);
}
