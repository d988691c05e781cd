/* SPDX-License-Identifier: MIT */
/*
 * Port instructions, and requests to device models: see io.h. The device model's answer is hostile:
 * ioreq_finish() reads it once, and it is data, cut to the size that was asked for.
 */
#include "x86/hvm/io.h"

#include "core/evtchn.h"
#include "core/log.h"
#include "core/pcpu.h"
#include "x86/hvm/devices.h"
#include "x86/hvm/emulate.h"
#include "x86/hvm/exits.h"
#include "x86/insn/gpr.h"

#define VGA_FIRST 0xa0000ull
#define VGA_LAST 0xbffffull

static uint64_t ones(unsigned int size)
{
    return x86_size_mask(size);
}

/* --- asking --- */

static struct ioreq_server *find(struct hvm_devices *dev, ioreq_t *r)
{
    uint64_t bytes = r->size * (r->data_is_ptr && r->type == IOREQ_TYPE_COPY ? r->count : 1);

    return r->type == IOREQ_TYPE_PIO
               ? ioreq_find_port(dev->servers, dev->cf8, r)
               : ioreq_find(dev->servers, IOREQ_MEMORY, r->addr, r->addr + bytes - 1);
}

/* A write to the old graphics memory: nobody waits for these. */
static bool may_buffer(const ioreq_t *r)
{
    return r->type == IOREQ_TYPE_COPY && r->dir == IOREQ_WRITE && r->addr >= VGA_FIRST &&
           r->addr + r->size - 1 <= VGA_LAST;
}

enum io_result io_request(struct hvm_vcpu *v, ioreq_t *r, uint64_t *data)
{
    struct hvm_devices *dev = hvm_domain_of(v)->dev;
    enum io_result result = IO_DONE;
    evtchn_port port = 0;
    struct ioreq_server *s;

    *data = ones(r->size);
    if (!dev)
        return IO_DONE;
    spin_lock(&dev->lock);
    s = find(dev, r);
    if (s && may_buffer(r) && ioreq_buffer(s, r)) {
        port = s->ring_port;
    } else if (s && ioreq_start(s, v->x.v.id, r)) {
        port = s->port[v->x.v.id];
        v->io.asked = *r;
        v->io.dropped = false;
        v->io.server = (uint8_t)(s - dev->servers);
        v->io.serial = s->serial;
        result = IO_WAITS;
    } else if (s) {
        result = IO_BROKEN;
    }
    spin_unlock(&dev->lock);
    if (result == IO_WAITS)
        hvm_ask(v, HVMX_IO);
    if (result == IO_BROKEN)
        domain_crash(v->x.v.domain, &v->x.v, "its device model keeps the slot of a request");
    else if (port)
        (void)evtchn_send(&v->x.v, port);
    return result;
}

/* --- the answer --- */

/* What has become of the request. A server that is gone answers as nobody does. */
static enum ioreq_state look(struct hvm_vcpu *v, uint64_t *data, uint32_t *count)
{
    struct hvm_devices *dev = hvm_domain_of(v)->dev;
    struct ioreq_server *s = &dev->servers[v->io.server];
    enum ioreq_state state = IOREQ_DONE;

    *data = ones(v->io.asked.size);
    *count = v->io.asked.count;
    spin_lock(&dev->lock);
    if (s->used && s->enabled && s->serial == v->io.serial)
        state = ioreq_finish(s, v->x.v.id, &v->io.asked, data, count);
    spin_unlock(&dev->lock);
    return state;
}

static void end_plain(struct hvm_vcpu *v, struct x86_regs *regs, unsigned int size, bool in,
                      uint64_t data, unsigned int len)
{
    if (in && size == 4)
        regs->rax = (uint32_t)data;
    else if (in)
        regs->rax = (regs->rax & ~ones(size)) | (data & ones(size));
    hvm_skip(v, regs, len);
}

bool hvm_io_goes_on(struct hvm_vcpu *v, struct x86_regs *regs)
{
    struct vcpu *c = &v->x.v;
    struct hvm_io *io = &v->io;
    enum ioreq_state state;
    uint64_t data;
    uint32_t count;

    /* Marked first, then looked; who answers does it the other way round. */
    __atomic_fetch_or(&c->pause_flags, VP_BLOCKED, __ATOMIC_SEQ_CST);
    state = look(v, &data, &count);
    if (state == IOREQ_WAITING) {
        pcpu_raise(c->cpu, WORK_SCHED);
        return false;
    }
    __atomic_fetch_and(&c->pause_flags, ~(uint32_t)VP_BLOCKED, __ATOMIC_SEQ_CST);
    hvm_done(v, HVMX_IO);
    if (state == IOREQ_BROKEN) {
        domain_crash(c->domain, c, "its device model answers what was not asked");
        return true;
    }
    if (io->dropped)
        return true;
    if (io->plain_len) {
        end_plain(v, regs, io->asked.size, io->asked.dir == IOREQ_READ, data, io->plain_len);
        return true;
    }
    io->log[io->done].data = data; /* as many bytes as were asked for are used */
    io->log[io->done++].count = MAX(count, 1u);
    if (hvm_emulate_again(v, regs) == HVM_NOT_KNOWN)
        domain_crash(c->domain, c, "an instruction that waited is none any more");
    return true;
}

/* --- port instructions --- */

static void plain(struct hvm_vcpu *v, struct x86_regs *regs, const struct hvm_exit *x)
{
    uint32_t val = (uint32_t)(regs->rax & ones(x->size));
    ioreq_t r = { .addr = x->port,
                  .size = x->size,
                  .count = 1,
                  .data = val,
                  .dir = x->in,
                  .type = IOREQ_TYPE_PIO };
    uint64_t data;

    if (hvm_domain_of(v)->dev && hvm_device_port(v, x->port, x->size, x->in, &val)) {
        end_plain(v, regs, x->size, x->in, val, x->len);
        return;
    }
    v->io.plain_len = x->len;
    if (io_request(v, &r, &data) == IO_DONE)
        end_plain(v, regs, x->size, x->in, data, x->len);
}

void hvm_exit_io(struct hvm_vcpu *v, struct x86_regs *regs, const struct hvm_exit *x)
{
    if (!x->string)
        plain(v, regs, x);
    else if (hvm_emulate(v, regs) == HVM_NOT_KNOWN)
        domain_crash(v->x.v.domain, &v->x.v, "a port instruction that is none");
}
