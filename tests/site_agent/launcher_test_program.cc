// SPDX-License-Identifier: Apache-2.0
//
// What the launcher's tests start under restrictions: does one thing, named by its first argument, and says how it
// went.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

// LeakSanitizer looks into its own process with ptrace, which the filter refuses.
extern "C" const char* __asan_default_options();   // NOLINT(bugprone-reserved-identifier): the sanitizer's own name.
extern "C" const char* __asan_default_options() {  // NOLINT(bugprone-reserved-identifier)
  return "detect_leaks=0";
}

namespace {

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void Say(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

int Connect(int family, int port) {
  const int socket = ::socket(family, SOCK_STREAM, 0);
  if (socket < 0) {
    Say(std::string("socket: ") + std::strerror(errno));
    return 1;
  }
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    Say(std::string("connect: ") + std::strerror(errno));
    return 1;
  }
  Say("connected");
  return 0;
}

// As LibTorch does: threads that read a file and work in parallel.
int ReadWithThreads(const std::string& path) {
  std::atomic<std::size_t> bytes = 0;
  std::vector<std::thread> threads;
  threads.reserve(8);
  for (int i = 0; i < 8; ++i) threads.emplace_back([&] { bytes += ReadAll(path).size(); });
  for (std::thread& thread : threads) thread.join();
  Say(std::to_string(bytes) + " bytes");
  return 0;
}

int ListDescriptors() {
  std::string list;
  for (int number = 0; number < 4096; ++number) {
    if (::fcntl(number, F_GETFD) >= 0) list += std::to_string(number) + " ";
  }
  Say(list);
  return 0;
}

// Waits for ever; with `polite`, SIGTERM ends it with that status.
int Wait(bool polite, int status) {
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTERM);
  sigprocmask(SIG_BLOCK, &stop, nullptr);
  Say("ready " + std::to_string(::getpid()));
  for (int signal = 0;;) {
    if (sigwait(&stop, &signal) == 0 && polite) break;
  }
  Say("asked to stop");
  return status;
}

// Ends with `status` the first `times` times it is run with this file, then with 0.
int FailAFewTimes(const std::string& file, std::size_t times, int status) {
  const std::size_t before = ReadAll(file).size();
  std::ofstream(file, std::ios::app) << "x";
  Say("run " + std::to_string(before + 1));
  if (before >= times) return 0;
  if (status == 0) ::raise(SIGKILL);
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  const auto number = [&](std::size_t i) { return std::atoi(words.at(i).c_str()); };
  const std::string& what = words.at(0);
  if (what == "connect") return Connect(AF_INET, number(1));
  if (what == "threads") return ReadWithThreads(words.at(1));
  if (what == "descriptors") return ListDescriptors();
  if (what == "wait") return Wait(true, number(1));
  if (what == "stubborn") return Wait(false, 0);
  if (what == "exit") return number(1);
  if (what == "fail") return FailAFewTimes(words.at(1), static_cast<std::size_t>(number(2)), number(3));
  if (what == "say") {
    Say(words.at(1));
    return 0;
  }
  return 2;
}
