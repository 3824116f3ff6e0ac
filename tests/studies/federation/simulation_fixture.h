// tests/studies/federation/simulation_fixture.h
// SPDX-License-Identifier: Apache-2.0
//
// Small simulated federations over drawn smears of three hospitals. Pictures and first weights are made once for the
// test program.
#pragma once

#include <map>
#include <string>

#include "common/clock.h"
#include "learning/models/model_file.h"
#include "studies/federation/simulation.h"
#include "tests/scratch.h"
#include "tests/studies/uacl/study_fixture.h"

namespace hemafed::testing_support {

struct SimulationWorld {
  Scratch scratch;
  Path weights;
  Digest weights_digest;
  studies::PictureShelf shelf;
  std::map<std::string, SiteSettings> sites;

  SimulationWorld() : shelf(RealFileSystem(), scratch / "cache", {}) {
    weights = scratch / "weights.safetensors";
    weights_digest = learning::WriteInitialModel(RealFileSystem(), weights, learning::Architecture::kSmallCnn, 1);
    for (const std::string hospital : kHospitals) {
      sites[hospital] = {.site = hospital,
                         .pictures = Smears() / hospital,
                         .layout = PictureLayout::kManifest,
                         .labels = HEMAFED_SOURCE_DIR "/configs/labels/five_wbc.toml"};
    }
  }
};

inline SimulationWorld& World() {
  static SimulationWorld world;
  return world;
}

// Three hospitals, two rounds each, of two steps.
inline std::string SimulatedPlan(std::uint64_t seed, bool rehearses = true, const std::string& name = "small") {
  std::string text = "format = 2\nname = \"" + name + "\"\nseed = " + std::to_string(seed) + R"(
classes = ["basophil", "eosinophil", "lymphocyte_typical", "monocyte", "neutrophil"]
[model]
architecture = "small_cnn"
normalisation = "group_ws"
input = 32
weights = ")" + World().weights_digest.Hex() +
                     R"("
dropout = 0.2
[training]
steps = 2
batch = 8
learning_rate = 0.05
schedule = "linear"
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
saturation = 0.05
hue = 0.01
zoom = 0.0
shift = 0.0
blur = 0.0
)";
  text += rehearses ? "[strategy]\nname = \"uacl\"\ngamma = 0.25\nprobe = 8\n[rehearsal]\npolicy = "
                      "\"federated\"\nexemplars = 4\npasses = "
                      "3\nherding = \"normalised\"\n"
                    : "[strategy]\nname = \"finetuning\"\n[rehearsal]\npolicy = \"none\"\n";
  text += R"([aggregation]
rule = "mean"
update = "int32"
norm_bound = 50.0
max_share = 0.5
[privacy]
min_pictures = 1
)";
  for (const std::string hospital : kHospitals) {
    text += "[[task]]\nsite = \"" + hospital + "\"\nrounds = 2\n";
  }
  return text;
}

}  // namespace hemafed::testing_support
