// tests/protocol/federation/plan_texts.h
// SPDX-License-Identifier: Apache-2.0
//
// Small plans of every kind, over two or three hospitals, for tests.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

#include "codec/plan.h"

namespace hemafed::testing_support {

// Two hospitals, `first` then `second`, with two rounds each; two classes.
inline constexpr const char* kSmallTasks = R"([[task]]
site = "first"
rounds = 2
[[task]]
site = "second"
rounds = 2
)";
// The same hospitals, each with one class after the other, and one that only scores.
inline constexpr const char* kMixedTasks = R"([[task]]
site = "first"
classes = ["basophil"]
rounds = 2
[[task]]
site = "first"
classes = ["monocyte"]
rounds = 1
[[task]]
site = "second"
classes = ["basophil"]
rounds = 1
[[task]]
site = "second"
classes = ["monocyte"]
rounds = 2
)";

// To be added to the tasks: at most 5 of 25 pictures may turn from the teacher in a round.
inline constexpr const char* kRetentionGate = R"([retention]
pictures = 25
max_drop = 0.2
halvings = 2
)";

// To be added to the tasks of a plan over latents: hospitals are compared, on at most 40 pictures.
inline constexpr const char* kDriftCheck = "[drift]\npermutations = 99\nrows = 40\n";
// Three hospitals after each other.
inline constexpr const char* kThreeTasks = R"([[task]]
site = "first"
rounds = 1
[[task]]
site = "second"
rounds = 1
[[task]]
site = "watcher"
rounds = 1
)";

inline constexpr const char* kAbsence =
    "[absence]\nrehearsing = \"skip\"\nevaluating = \"wait\"\njoining = \"first_task\"\nafter_s = 20\n";
inline constexpr const char* kPause =
    "[absence]\nrehearsing = \"pause\"\nevaluating = \"skip\"\njoining = \"own_task\"\nafter_s = 20\n";

inline std::string SmallPlanText(const Digest& weights, const std::string& policy = "federated",
                                 const std::string& tasks = kSmallTasks, const std::string& top = "") {
  const bool rehearses = policy != "none";
  return R"(format = 2
name = "test"
seed = 7
classes = ["basophil", "monocyte"]
)" + top +
         R"(
[model]
architecture = "small_cnn"
normalisation = "group_ws"
input = 64
dropout = 0.2
weights = ")" +
         weights.Hex() + R"("
[training]
steps = 2
batch = 4
learning_rate = 0.01
schedule = "constant"
momentum = 0.9
nesterov = true
weight_decay = 0.0
clip_norm = 5.0
sampling = "uniform"
train_affine = true
threads = 1
[augmentation]
flips = true
rotation = "quarter"
brightness = 0.1
contrast = 0.1
saturation = 0.1
hue = 0.02
zoom = 0.0
shift = 0.0
blur = 0.0
[strategy]
)" + (rehearses ? "name = \"uacl\"\ngamma = 1.0\nprobe = 16\n" : "name = \"finetuning\"\n") +
         "[rehearsal]\npolicy = \"" + policy + "\"\n" +
         (rehearses ? "exemplars = 4\npasses = 10\nherding = \"normalised\"\n" : "") +
         (policy == "sealed" ? "picture_bytes = 100000\n" : "") +
         R"([aggregation]
rule = "mean"
update = "int32"
norm_bound = 100.0
max_share = 0.5
[privacy]
min_pictures = 10
)" + tasks;
}

// The small plan over latents of these files instead of pixels (architecture ae_cfe).
inline std::string LatentPlanText(std::string small_plan, const ExtractorPlan& extractor) {
  const auto architecture = small_plan.find("\"small_cnn\"");
  const auto augmentation = small_plan.find("[augmentation]");
  if (architecture == std::string::npos || augmentation == std::string::npos) {
    throw std::logic_error("the small plan has changed");
  }
  small_plan.erase(augmentation, small_plan.find("[strategy]") - augmentation);
  return small_plan.replace(architecture, 11,
                            "\"ae_cfe\"\ndetector = \"" + extractor.detector.Hex() + "\"\nautoencoder = \"" +
                                extractor.autoencoder.Hex() + "\"");
}

// The same hospitals and classes with a head that is solved; `tasks` as above, whose rounds are left out.
inline std::string AnalyticPlanText(const Digest& weights, const std::string& tasks = kSmallTasks,
                                    const std::string& top = "") {
  std::string without_rounds;
  for (std::size_t at = 0; at < tasks.size();) {
    const std::size_t end = tasks.find('\n', at) + 1;
    if (tasks.compare(at, 6, "rounds") != 0) without_rounds += tasks.substr(at, end - at);
    at = end;
  }
  return R"(format = 2
name = "test"
seed = 7
classes = ["basophil", "monocyte"]
)" + top +
         R"(
[model]
architecture = "small_cnn"
normalisation = "group_ws"
input = 64
dropout = 0.0
weights = ")" +
         weights.Hex() + R"("
[training]
threads = 1
[strategy]
name = "analytic"
features = 12
ridge = 0.5
[rehearsal]
policy = "none"
[privacy]
min_pictures = 10
)" + without_rounds;
}

// What draws the hospitals of an autoencoder's training together; or nothing.
inline constexpr const char* kAligned = "beta = 5.0\nsource = \"first\"\n";
inline constexpr const char* kUnaligned = "beta = 0.0\n";

// An autoencoder with a latent of 6 numbers, trained by first and others (`with`: names in quotes) at the same time:
// two rounds of two steps. `more` at the end.
inline std::string AutoencoderPlanText(const Digest& weights, const Digest& detector,
                                       const std::string& alignment = kAligned, const std::string& more = "",
                                       const std::string& with = "\"second\"") {
  return R"(format = 2
name = "test"
seed = 7
classes = ["basophil", "monocyte"]
[model]
architecture = "cell_autoencoder"
detector = ")" +
         detector.Hex() + R"("
latent = 6
input = 64
weights = ")" +
         weights.Hex() + R"("
[training]
steps = 2
batch = 4
learning_rate = 0.001
threads = 1
[strategy]
name = "alignment"
window = 10
)" + alignment +
         R"([rehearsal]
policy = "none"
[aggregation]
rule = "mean"
update = "int32"
norm_bound = 100.0
max_share = 0.5
[privacy]
min_pictures = 10
[[task]]
site = "first"
with = [)" +
         with + R"(]
rounds = 2
)" + more;
}

// The plan with these lines in [strategy], and lists of 12 herded exemplars unless the policy is none.
inline std::string WithStrategy(std::string plan, const std::string& strategy, const std::string& policy) {
  const std::size_t from = plan.find("[strategy]"), to = plan.find("[aggregation]");
  const std::string lists = policy == "none" ? "" : "exemplars = 12\nherding = \"normalised\"\n";
  const std::string travel = policy == "sealed" ? "picture_bytes = 100000\n" : "";
  plan.replace(from, to - from,
               "[strategy]\n" + strategy + "[rehearsal]\npolicy = \"" + policy + "\"\n" + lists + travel);
  return plan;
}
inline constexpr const char* kIcarl = "name = \"icarl\"\ngamma = 1.0\nprobe = 16\n";
inline constexpr const char* kEwc = "name = \"ewc\"\nlambda = 0.9\nimportance = 3000.0\nfisher_pictures = 20\n";
inline constexpr const char* kDerpp = "name = \"derpp\"\nalpha = 0.5\nbeta = 0.5\n";
inline constexpr const char* kWa = "name = \"wa\"\ntemperature = 2.0\nprobe = 16\n";
inline constexpr const char* kSlowFast = "name = \"slow_fast\"\nrate = 0.25\nconsistency = 0.5\n";

}  // namespace hemafed::testing_support
