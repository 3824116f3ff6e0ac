// studies/federation/plan_text.h
// SPDX-License-Identifier: Apache-2.0
//
// A plan's text as a study uses it: the same text with another seed, byte for byte alike but for the number, so that
// comments and order stay what the author wrote and what is signed is still readable.
//
// Errors: those of ParsePlan; kInvalidInput for a seed that a plan cannot have. Thread-safety: free functions.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace hemafed::studies {

// Replaces the value of the top-level key `seed`, found where the TOML parser says it stands.
[[nodiscard]] std::string PlanWithSeed(std::string_view plan, std::uint64_t seed, const std::string& where);

// The same settings as JSON, for the record of a study.
[[nodiscard]] nlohmann::json PlanAsJson(std::string_view plan, const std::string& where);

}  // namespace hemafed::studies
