// protocol/wire/heap_in_use.h
// SPDX-License-Identifier: Apache-2.0
//
// How much memory this process has allocated and not freed, libzmq's queues included. libzmq bounds the size of a
// message and the number of messages of a peer, but not the number of parts of a message that a peer never finishes;
// the application does not see those parts. A server looks at this number now and then and calls ServerEndpoint::Reopen
// when it is far above what the server can need.
//
// Thread-safety: any thread. Costs some microseconds.
#pragma once

#include <cstdint>

namespace hemafed::wire {

// Four times what a coordinator may hold resident (64 MB): only a peer that breaks the rules gets it there.
inline constexpr std::uint64_t kHeapAlarmBytes = 256u << 20;

// 0 where the allocator does not say (sanitizers bring their own).
[[nodiscard]] std::uint64_t HeapBytesInUse() noexcept;

}  // namespace hemafed::wire
