# SPDX-License-Identifier: MIT
# As Debian's kernel: no hypercall page, the P2M at its own address, the module outside.
guest-notes-hello-linux := -DNOTE_NO_HYPERCALL_PAGE -DNOTE_INIT_P2M=0x8000000000 \
    -DNOTE_MOD_START_PFN '-DNOTE_FEATURES="writable_page_tables|pae_pgdir_above_4gb"'
