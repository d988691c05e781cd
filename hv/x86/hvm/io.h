/* SPDX-License-Identifier: MIT */
/*
 * An instruction of a guest that reaches devices: ports, or memory where no RAM is.
 *
 * What a device model has to answer takes a while. The vCPU blocks with HVMX_IO set, and nothing
 * else happens to it; then the instruction goes on: a plain IN or OUT ends, anything else is
 * emulated again from its bytes, which are kept, and meets the answers that it has got already in
 * the same order (the log). An element of a string instruction that is done ends the log.
 */
#ifndef X86_HVM_IO_H
#define X86_HVM_IO_H

#include <stdbool.h>
#include <stdint.h>

#include <xen/xen.h>
#include <xen/hvm/ioreq.h>

struct hvm_vcpu;
struct hvm_exit;
struct x86_regs;

#define IO_LOG 8 /* accesses of one element: two operands, each across two pages, and more */
#define INSN_BYTES_MAX 15

struct hvm_io {
    ioreq_t asked;     /* the request that is waited for */
    uint8_t server;    /* whose */
    uint32_t serial;   /* and that it is still the same one */
    bool dropped;      /* the vCPU was reset: the answer is nobody's */
    uint8_t plain_len; /* of a plain IN or OUT; 0: the instruction is emulated */
    uint8_t nbytes;    /* of the emulated instruction */
    uint8_t bytes[INSN_BYTES_MAX];
    uint8_t done, at; /* entries of the log; the one that the emulation meets next */
    uint64_t rcx;     /* the element that they are of */
    struct {
        uint64_t data;
        uint32_t count;
    } log[IO_LOG];
};

enum io_result {
    IO_DONE,
    IO_WAITS, /* HVMX_IO is set */
    IO_BROKEN /* the domain was crashed */
};

/*
 * Hands a request to a device model; *r has all but the state, for ports type and address are
 * filled in here. DONE: nobody claims it, *data is all ones, or it was buffered.
 */
enum io_result io_request(struct hvm_vcpu *v, ioreq_t *r, uint64_t *data);
/* IN, OUT, INS or OUTS exited. */
void hvm_exit_io(struct hvm_vcpu *v, struct x86_regs *regs, const struct hvm_exit *x);
/* HVMX_IO is set: false while there is no answer, and v is blocked; else the instruction went on.
 */
bool hvm_io_goes_on(struct hvm_vcpu *v, struct x86_regs *regs);

#endif
