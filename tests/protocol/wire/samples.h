// tests/protocol/wire/samples.h
// SPDX-License-Identifier: Apache-2.0
//
// One message of each type with every field set to something, and one with every field as large as it may be.
#pragma once

#include <vector>

#include "protocol/wire/messages.h"

namespace hemafed::wire::testing_support {

[[nodiscard]] std::vector<Message> SampleMessages();
[[nodiscard]] std::vector<Message> LargestMessages();

}  // namespace hemafed::wire::testing_support
