/* SPDX-License-Identifier: MIT */
/* The same as a PVH guest: the rings are at guest frames that parameters name. */
#include "pvh.h"

#include "../idle/main.c"

static uint64_t param(uint32_t index)
{
    struct xen_hvm_param p = { .domid = DOMID_SELF, .index = index };

    CHECK_EQ(hc_hvm_op(HVMOP_get_param, &p), 0, "parameter %u", index);
    return p.value;
}

static bool find_rings(void)
{
    if (start_info->flags & SIF_INITDOMAIN)
        return false;
    pvh_map_shared(); /* it polls, and clears what came */
    rings = (struct rings){ pvh_virt(param(HVM_PARAM_CONSOLE_PFN)),
                            pvh_virt(param(HVM_PARAM_STORE_PFN)),
                            (evtchn_port_t)param(HVM_PARAM_CONSOLE_EVTCHN),
                            (evtchn_port_t)param(HVM_PARAM_STORE_EVTCHN) };
    return true;
}
