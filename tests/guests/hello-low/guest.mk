# SPDX-License-Identifier: MIT
# No VIRT_BASE: linked where it is loaded.
guest-base-hello-low := 0
