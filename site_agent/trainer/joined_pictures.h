// site_agent/trainer/joined_pictures.h
// SPDX-License-Identifier: Apache-2.0
//
// A lab's own pictures and those that other hospitals sealed to it, as one source: what an active site trains on under
// the policy `sealed`, the paper's D_t and X_t. In ascending order of the pictures' digests, whoever they come from, so
// that every batch has the bits that one index over all these pictures would give.
//
// A picture that this lab has itself, or that came twice, is there once: as its own, or as it came from the sender
// whose name is first.
//
// Thread-safety: making it from one thread; the source from any, also several at once. Everything is borrowed but the
// received pictures.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "codec/plan.h"
#include "learning/continual/batch_source.h"
#include "learning/continual/exemplar_store.h"
#include "learning/data/domain_pictures.h"
#include "site_agent/trainer/received_pictures.h"

namespace hemafed::trainer {

// `own`: ascending positions of the lab's index. `lists`: which of the received ones.
[[nodiscard]] std::unique_ptr<learning::BatchSource> JoinPictures(const learning::DomainPictures& lab,
                                                                  const std::vector<std::uint32_t>& own,
                                                                  ReceivedPictures received,
                                                                  const learning::ExemplarStore& lists,
                                                                  const Plan& plan);

}  // namespace hemafed::trainer
