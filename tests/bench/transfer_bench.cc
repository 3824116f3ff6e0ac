// SPDX-License-Identifier: Apache-2.0
//
// One-way encrypted transfer over loopback TCP between two processes, as CURVE between two machines would do it:
//
//     wire       full chunks through both endpoints with a window of acknowledgements; nothing is stored
//     put        an object from the site's disk into the coordinator's store: read, send, write, hash, sync, rename
//     get        an object from the coordinator's store to the site's disk: read, send, write, hash, sync, rename
//
// Prints MB/s (10^6 bytes, of the object's content) and the peak memory of each process (VmHWM).
//
// Usage: transfer_bench [megabytes, default 512] [folder, default the system's temporary one] [I/O threads, default 1]
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>

#include "common/error.h"
#include "common/random.h"
#include "protocol/objects/transfer_client.h"
#include "protocol/objects/transfer_server.h"
#include "protocol/wire/authenticator.h"
#include "protocol/wire/client_endpoint.h"
#include "protocol/wire/server_endpoint.h"

namespace hemafed::wire {
namespace {

constexpr std::uint32_t kWindow = kCreditsPerSite;  // Chunks under way in the first measurement, as in the others.

struct Settings {
  std::uint64_t bytes = 512'000'000;
  Path folder;
  int io_threads = kDefaultIoThreads;
  CurveKeyPair server_keys = GenerateCurveKeyPair();
  CurveKeyPair site_keys = GenerateCurveKeyPair();
};

double Now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// Processor time of this process; unlike wall time it does not depend on what else the machine does.
double CpuSeconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double PeakMemoryMb() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stod(line.substr(6)) * 1024 / 1e6;
  }
  return 0;
}

// A line between the two processes, one reader and one writer.
class Line {
 public:
  Line() {
    if (::pipe(ends_.data()) != 0) throw Error(ErrorCode::kUnavailable, "no pipe");
  }
  void Write(const std::string& text) const {
    const std::string line = text + "\n";
    if (::write(ends_[1], line.data(), line.size()) < 0) throw Error(ErrorCode::kUnavailable, "pipe is closed");
  }
  [[nodiscard]] std::string Read() const {
    std::string line;
    for (char c = 0; ::read(ends_[0], &c, 1) == 1 && c != '\n';) line.push_back(c);
    return line;
  }

 private:
  std::array<int, 2> ends_{};
};

// The coordinator: serves until the site says goodbye with a Refusal.
void Serve(const Settings& settings, const Line& line) {
  SystemClock clock;
  Allowlist allowlist;
  allowlist.Allow(settings.site_keys.public_key, "site");
  ObjectStore store(RealFileSystem(), settings.folder / "coordinator");
  WireContext context(settings.io_threads);
  const Authenticator authenticator(context, allowlist, clock);
  ServerEndpoint server(context, allowlist, {"tcp://127.0.0.1:*", settings.server_keys});
  TransferServer transfer(store, store, clock, [](const TransferRequest&) { return std::optional<Refusal>(); });
  line.Write(server.bound_endpoint());
  std::uint64_t received = 0;
  for (bool goodbye = false; !goodbye;) {
    auto incoming = server.Receive(1000);
    while (const auto event = server.NextEvent()) {
      if (event->kind == ServerEvent::Kind::kPeerLeft) goodbye = true;
    }
    if (!incoming || !std::holds_alternative<Message>(incoming->content)) continue;
    const auto& message = std::get<Message>(incoming->content);
    const auto* chunk = std::get_if<Chunk>(&message);
    if (std::holds_alternative<Refusal>(message)) {
      goodbye = true;
    } else if (chunk != nullptr && chunk->digest == Digest{}) {
      received += chunk->data.size();
      (void)server.SendTo(incoming->peer, ChunkAck{{}, received});
    } else if (TransferServer::Handles(message)) {
      for (const Outgoing& out : transfer.Handle("site", message)) (void)server.SendTo(incoming->peer, out.message);
    }
  }
  line.Write(std::to_string(PeakMemoryMb()) + " MB, " + std::to_string(CpuSeconds()));
}

Message WaitForMessage(ClientEndpoint& site) {
  while (true) {
    auto received = site.Receive(1000);
    while (const auto event = site.NextEvent()) {
      if (event->news != ConnectionNews::kReady) throw Error(ErrorCode::kUnavailable, site.ExplainFailure());
    }
    if (received) return std::get<Message>(std::move(*received));
  }
}

double MeasureWire(ClientEndpoint& site, std::uint64_t bytes) {
  Chunk chunk{{}, 0, bytes, Bytes(kChunkBytes)};
  RandomStream random(1);
  for (auto& byte : chunk.data) byte = static_cast<std::uint8_t>(random.NextWord());
  const double start = Now();
  std::uint64_t sent = 0, acked = 0;
  while (acked < bytes) {
    while (sent < bytes && sent - acked < std::uint64_t{kWindow} * kChunkBytes) {
      chunk.offset = sent;
      if (!site.Send(chunk)) break;
      sent += kChunkBytes;
    }
    acked = std::get<ChunkAck>(WaitForMessage(site)).offset;
  }
  return static_cast<double>(acked) / 1e6 / (Now() - start);
}

double MeasureObject(ClientEndpoint& site, TransferClient& client, std::uint64_t bytes, std::vector<Message> begin) {
  const double start = Now();
  const auto send = [&](const std::vector<Message>& messages) {
    for (const Message& message : messages) {
      if (!site.Send(message)) throw Error(ErrorCode::kUnavailable, "the connection is gone");
    }
  };
  send(begin);
  while (true) {
    if (const auto result = client.NextResult()) {
      if (result->refusal) throw Error(ErrorCode::kRefused, result->refusal->text);
      return static_cast<double>(bytes) / 1e6 / (Now() - start);
    }
    send(client.Handle(WaitForMessage(site)));
  }
}

void Run(const Settings& settings, const Line& line) {
  FileSystem& files = RealFileSystem();
  const Path source = settings.folder / "source";
  {
    const auto file = files.Create(source);
    Bytes block(kChunkBytes);
    RandomStream random(2);
    for (auto& byte : block) byte = static_cast<std::uint8_t>(random.NextWord());
    for (std::uint64_t done = 0; done < settings.bytes; done += block.size()) {
      StoreLittleEndian(done, block.data());
      file->Append(ByteView(block).first(std::min<std::uint64_t>(block.size(), settings.bytes - done)));
    }
  }
  const Digest digest = DigestOfFile(files, source);
  SystemClock clock;
  WireContext context(settings.io_threads);
  ClientEndpoint site(context, clock, {line.Read(), settings.server_keys.public_key, settings.site_keys});
  while (!site.ready()) (void)site.Receive(100);
  while (site.NextEvent()) {
  }

  std::printf("%.0f MB one way, CURVE on loopback, %d I/O thread(s) a process\n",
              static_cast<double>(settings.bytes) / 1e6, settings.io_threads);
  std::printf("  wire  %6.0f MB/s\n", MeasureWire(site, settings.bytes));
  TransferClient client(files);
  std::printf("  put   %6.0f MB/s\n", MeasureObject(site, client, settings.bytes, client.Upload(source, digest)));
  std::printf("  get   %6.0f MB/s\n",
              MeasureObject(site, client, settings.bytes,
                            client.Download(digest, settings.bytes, settings.folder / "fetched")));
  (void)site.Send(Refusal{RefusalCode::kUnexpected, "goodbye", {}});
}

}  // namespace
}  // namespace hemafed::wire

int main(int argc, char** argv) {
  using namespace hemafed::wire;
  Settings settings;
  if (argc > 1) settings.bytes = std::stoull(argv[1]) * 1'000'000;
  std::string folder = argc > 2 ? argv[2] : std::filesystem::temp_directory_path().string();
  folder += "/hemafed-transfer-XXXXXX";
  if (::mkdtemp(folder.data()) == nullptr) {
    std::cerr << "cannot make a folder like " << folder << "\n";
    return 1;
  }
  settings.folder = folder;
  if (argc > 3) settings.io_threads = std::stoi(argv[3]);
  int status = 1;
  try {
    const Line line;
    // Before either side starts threads.
    const pid_t coordinator = ::fork();
    if (coordinator == 0) {
      Serve(settings, line);
      ::_exit(0);
    }
    Run(settings, line);
    std::printf("  coordinator: peak memory and processor time %s s\n  site:        %.6f MB, %.6f s\n",
                line.Read().c_str(), PeakMemoryMb(), CpuSeconds());
    ::waitpid(coordinator, &status, 0);
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
  }
  std::filesystem::remove_all(settings.folder);
  return status == 0 ? 0 : 1;
}
