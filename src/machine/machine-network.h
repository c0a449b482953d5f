/* SPDX-License-Identifier: MIT */
#pragma once

#include "machine/machine.h"

/**
 * A machine's network cards, and ports of the host that lead into it.
 */

/**
 * Take down the link of the card on the network of that name, or of all cards (NULL), or bring it
 * up, as the guest sees it too. Lasts as long as this QEMU. SP_ERROR_USAGE if the machine has no
 * card on that network.
 */
bool sp_machine_set_links(
    SpMachine *machine, const char *network, bool are_up, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/**
 * From now on, across power cuts as well, lose @loss (0 to 1) of the frames each way between the
 * card on the network of that name and the switch, and delay those to the machine by @delay_ms.
 * SP_ERROR_USAGE as above.
 */
bool sp_machine_set_cable(SpMachine *machine, const char *network, double loss, guint delay_ms,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;

/**
 * Forward connections to @host_port of the host's 127.0.0.1 (0: any free one, returned in
 * @ret_port) to TCP port @guest_port of the guest's localhost until the machine is freed, whenever
 * it runs and its agent answers. SP_ERROR_USAGE if the port is in use, or the image has no agent.
 */
bool sp_machine_forward_port(SpMachine *machine, guint host_port, guint guest_port, guint *ret_port,
    GError **error) G_GNUC_WARN_UNUSED_RESULT;
