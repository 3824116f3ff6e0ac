// SPDX-License-Identifier: Apache-2.0
#include "protocol/wire/heap_in_use.h"

#include <malloc.h>

namespace hemafed::wire {

std::uint64_t HeapBytesInUse() noexcept {
  const struct mallinfo2 info = ::mallinfo2();
  return info.uordblks + info.hblkhd;  // In arenas, and mapped one by one.
}

}  // namespace hemafed::wire
