// tests/studies/uacl/study_fixture.h
// SPDX-License-Identifier: Apache-2.0
//
// A small study over drawn smears of three hospitals: the text of its file and the folders around it. Everything is
// drawn once for the test program.
#pragma once

#include <string>

#include "common/file_system.h"
#include "learning/data/synthetic/hospital_profile.h"
#include "learning/data/synthetic/hospital_writer.h"
#include "tests/scratch.h"

namespace hemafed::testing_support {

inline constexpr const char* kHospitals[] = {"matek-19", "int-20", "acevedo-20"};

// Folder with one sub-folder a hospital, 6 training and 2 test pictures of each of five classes.
inline const Path& Smears() {
  static const Scratch scratch;
  static const Path folder = [] {
    for (const char* hospital : kHospitals) {
      (void)learning::synthetic::WriteSyntheticHospital(RealFileSystem(), scratch / hospital,
                                                        learning::synthetic::HospitalProfileNamed(hospital),
                                                        {.seed = 5, .train_per_class = 6, .test_per_class = 2});
    }
    return scratch / "";
  }();
  return folder;
}

// A study file with these experiments ([[experiment]] tables); the label map is the repository's.
inline std::string StudyText(const std::string& experiments, const std::string& methods_and_more = "") {
  std::string text = R"(
format = 1
name = "small"
title = "A small study"
part = "test"
classes = ["basophil", "eosinophil", "lymphocyte_typical", "monocyte", "neutrophil"]
seeds = [7]
[model]
architecture = "small_cnn"
normalisation = "group_ws"
precision = "float32"
weights = "random"
input = 32
[training]
epochs = 2
batch = 8
accumulation = 1
optimiser = "sgd"
learning_rate = 0.01
momentum = 0.9
nesterov = true
weight_decay = 0.0
clip_norm = 5.0
schedule = "constant"
sampling = "uniform"
train_affine = true
dropout = 0.1
threads = 1
[exemplars]
per_list = 4
herding = "normalised"
passes = 3
dropout = 0.2
)";
  for (const char* hospital : kHospitals) {
    text += "[[domain]]\nname = \"" + std::string(hospital) + "\"\nfolder = \"" + hospital +
            "\"\nlayout = \"manifest\"\ncrop = 0\nlabels = \"" HEMAFED_SOURCE_DIR "/configs/labels/five_wbc.toml\"\n";
  }
  if (methods_and_more.empty()) {
    for (const char* name : {"finetuning", "ewc", "icarl", "uacl", "joint"}) {
      text += "[[method]]\nname = \"" + std::string(name) + "\"\nstrategy = \"" + name + "\"\n";
    }
  }
  return text + methods_and_more + experiments;
}

inline const std::string kDomains = R"(
[[experiment]]
name = "D"
title = "domains"
published = "D"
[[experiment.task]]
domain = "matek-19"
[[experiment.task]]
domain = "int-20"
[[experiment.task]]
domain = "acevedo-20"
)";

// The classes of one hospital in two tasks.
inline std::string ClassesOf(const std::string& name, const std::string& domain) {
  return "[[experiment]]\nname = \"" + name + "\"\ntitle = \"classes of " + domain + "\"\npublished = \"" + name +
         "\"\nbudget = 20\ngamma = 5\n[[experiment.task]]\ndomain = \"" + domain +
         "\"\nclasses = [\"basophil\", \"monocyte\"]\n[[experiment.task]]\ndomain = \"" + domain +
         "\"\nclasses = [\"neutrophil\", \"eosinophil\", \"lymphocyte_typical\"]\n";
}

// Two tasks of each hospital, one hospital after the other.
inline std::string Mixed() {
  std::string text = "[[experiment]]\nname = \"DC\"\ntitle = \"mixed\"\npublished = \"DC\"\n";
  for (const char* hospital : kHospitals) {
    for (const char* classes :
         {"\"eosinophil\", \"basophil\", \"neutrophil\"", "\"monocyte\", \"lymphocyte_typical\""}) {
      text += "[[experiment.task]]\ndomain = \"" + std::string(hospital) + "\"\nclasses = [" + classes + "]\n";
    }
  }
  return text;
}

}  // namespace hemafed::testing_support
