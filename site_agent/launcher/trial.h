// site_agent/launcher/trial.h
// SPDX-License-Identifier: Apache-2.0
//
// Runs a function in a child process and brings its text back: for trying what cannot be undone (restrictions,
// namespaces) and seeing what still works under it.
//
// Thread-safety: forks; the calling process must have one thread.
#pragma once

#include <functional>
#include <string>

namespace hemafed {

// Longest text that comes back from a trial, in bytes; the rest is cut off. Answers are a few words a line.
inline constexpr std::size_t kMaxTrialAnswerBytes = 64 << 10;

// The function's text. Its exceptions come back as exceptions: Error with code and message, others as kInternal.
// Throws Error(kInternal) when the child dies of a signal, naming it. The child is killed with its parent.
[[nodiscard]] std::string RunTrial(const std::function<std::string()>& attempt);

// Throws Error(kInternal) unless the process has exactly one thread: a child forked from a process with several may
// find locks held for ever, and namespaces cannot be left.
void RequireOneThread();

}  // namespace hemafed
