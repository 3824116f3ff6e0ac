// SPDX-License-Identifier: Apache-2.0
#include "protocol/objects/object_store.h"

namespace hemafed {

Path ObjectStore::PathOf(const Digest& digest) const {
  const std::string hex = digest.Hex();
  return root_ / "objects" / hex.substr(0, 2) / hex.substr(2);
}

}  // namespace hemafed
