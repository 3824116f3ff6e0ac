// SPDX-License-Identifier: Apache-2.0
#include "tests/protocol/wire/raw_peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sodium.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <system_error>

namespace hemafed::wire::testing_support {

namespace {

constexpr int kPatienceMs = 60'000;

void Append(Bytes& to, ByteView bytes) { to.insert(to.end(), bytes.begin(), bytes.end()); }
void Append(Bytes& to, std::string_view text) { Append(to, AsBytes(text)); }
void AppendBigEndian(Bytes& to, std::uint64_t value, std::size_t bytes) {
  for (std::size_t i = bytes; i-- > 0;) to.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

// ZMTP: flags (1 more, 2 long, 4 command), size in one or eight bytes, body.
Bytes Framed(ByteView body, std::uint8_t flags) {
  Bytes frame;
  if (body.size() > 255) {
    frame.push_back(flags | 2);
    AppendBigEndian(frame, body.size(), 8);
  } else {
    frame.push_back(flags);
    frame.push_back(static_cast<std::uint8_t>(body.size()));
  }
  Append(frame, body);
  return frame;
}

Bytes Nonce(std::uint64_t number) {
  Bytes nonce;
  AppendBigEndian(nonce, number, 8);
  return nonce;
}

}  // namespace

RawSocket::RawSocket(const std::string& endpoint) : descriptor_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(endpoint.substr(endpoint.rfind(':') + 1))));
  if (descriptor_ < 0 || ::connect(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    throw std::system_error(errno, std::generic_category(), "connect to " + endpoint);
  }
}

RawSocket::~RawSocket() { Close(); }

RawListener::RawListener() : descriptor_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (descriptor_ < 0 || ::bind(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      ::listen(descriptor_, 8) != 0) {
    throw std::system_error(errno, std::generic_category(), "listen on loopback");
  }
}

RawListener::~RawListener() { ::close(descriptor_); }

std::string RawListener::endpoint() const {
  sockaddr_in address{};
  socklen_t size = sizeof(address);
  ::getsockname(descriptor_, reinterpret_cast<sockaddr*>(&address), &size);
  return "tcp://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
}

RawSocket RawListener::Accept() {
  pollfd item{descriptor_, POLLIN, 0};
  if (::poll(&item, 1, kPatienceMs) != 1) throw std::runtime_error("nobody connected");
  return RawSocket(::accept4(descriptor_, nullptr, nullptr, SOCK_CLOEXEC));
}

void RawSocket::Close() {
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
}

bool RawSocket::Send(ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(sent));
  }
  return true;
}

std::optional<Bytes> RawSocket::Receive(std::size_t count) {
  Bytes bytes(count);
  for (std::size_t done = 0; done < count;) {
    pollfd item{descriptor_, POLLIN, 0};
    if (::poll(&item, 1, kPatienceMs) != 1) return std::nullopt;
    const ssize_t got = ::recv(descriptor_, bytes.data() + done, count - done, 0);
    if (got <= 0) return std::nullopt;
    done += static_cast<std::size_t>(got);
  }
  return bytes;
}

bool RawSocket::WaitForClose() {
  std::array<std::uint8_t, 4096> rest{};
  while (true) {
    pollfd item{descriptor_, POLLIN, 0};
    if (::poll(&item, 1, kPatienceMs) != 1) return false;
    if (::recv(descriptor_, rest.data(), rest.size(), 0) <= 0) return true;
  }
}

RawCurvePeer::RawCurvePeer(const CurveKey& server_key, const CurveKeyPair& keys)
    : server_key_(server_key), keys_(keys) {
  if (::sodium_init() < 0) throw std::runtime_error("libsodium does not start");
}

Bytes RawCurvePeer::Greeting(std::string_view mechanism) {
  Bytes greeting{0xFF, 0, 0, 0, 0, 0, 0, 0, 1, 0x7F, 3, 1};
  Append(greeting, mechanism);
  greeting.resize(64);
  return greeting;
}

Bytes RawCurvePeer::Box(ByteView plain, std::string_view nonce_prefix, ByteView nonce_suffix, const CurveKey& to,
                        const CurveKey& from) const {
  Bytes nonce = ToBytes(nonce_prefix);
  Append(nonce, nonce_suffix);
  Bytes box(plain.size() + crypto_box_MACBYTES);
  if (nonce.size() != crypto_box_NONCEBYTES ||
      ::crypto_box_easy(box.data(), plain.data(), plain.size(), nonce.data(), to.data(), from.data()) != 0) {
    throw std::logic_error("box");
  }
  return box;
}

Bytes RawCurvePeer::Hello() {
  const Bytes nonce = Nonce(nonce_++);
  Bytes body;
  Append(body, "\x05HELLO");
  body.push_back(1);
  body.push_back(0);
  body.resize(body.size() + 72);
  Append(body, session_.public_key);
  Append(body, nonce);
  Append(body, Box(Bytes(64), "CurveZMQHELLO---", nonce, server_key_, session_.secret_key));
  return Framed(body, 4);
}

bool RawCurvePeer::TakeWelcome(ByteView command) {
  constexpr std::size_t kWelcomeBytes = 8 + 16 + 144;
  if (command.size() != kWelcomeBytes || !AsText(command).starts_with("\x07WELCOME")) return false;
  Bytes nonce = ToBytes("WELCOME-");
  Append(nonce, command.subspan(8, 16));
  const ByteView box = command.subspan(24);
  Bytes plain(box.size() - crypto_box_MACBYTES);
  if (::crypto_box_open_easy(plain.data(), box.data(), box.size(), nonce.data(), server_key_.data(),
                             session_.secret_key.data()) != 0) {
    return false;
  }
  std::copy_n(plain.begin(), server_session_key_.size(), server_session_key_.begin());
  cookie_.assign(plain.begin() + 32, plain.end());
  return true;
}

Bytes RawCurvePeer::Initiate(const std::vector<std::pair<std::string, std::string>>& metadata) {
  Bytes vouched;
  Append(vouched, session_.public_key);
  Append(vouched, server_key_);
  const Bytes vouch_nonce(16, 7);
  const Bytes nonce = Nonce(nonce_++);

  Bytes plain;
  Append(plain, keys_.public_key);
  Append(plain, vouch_nonce);
  Append(plain, Box(vouched, "VOUCH---", vouch_nonce, server_session_key_, keys_.secret_key));
  for (const auto& [name, value] : metadata) {
    plain.push_back(static_cast<std::uint8_t>(name.size()));
    Append(plain, name);
    AppendBigEndian(plain, value.size(), 4);
    Append(plain, value);
  }

  Bytes body;
  Append(body, "\x08INITIATE");
  Append(body, cookie_);
  Append(body, nonce);
  Append(body, Box(plain, "CurveZMQINITIATE", nonce, server_session_key_, session_.secret_key));
  return Framed(body, 4);
}

Bytes RawCurvePeer::MessageFrame(ByteView content, bool more, bool command) {
  const Bytes nonce = Nonce(nonce_++);
  Bytes plain{static_cast<std::uint8_t>((more ? 1 : 0) | (command ? 4 : 0))};
  Append(plain, content);
  Bytes body;
  Append(body, "\x07MESSAGE");
  Append(body, nonce);
  Append(body, Box(plain, "CurveZMQMESSAGEC", nonce, server_session_key_, session_.secret_key));
  return Framed(body, 0);
}

std::optional<Bytes> RawCurvePeer::ReceiveFrame(RawSocket& socket) {
  const auto head = socket.Receive(2);
  if (!head) return std::nullopt;
  std::size_t size = (*head)[1];
  if (((*head)[0] & 2) != 0) {
    const auto rest = socket.Receive(7);
    if (!rest) return std::nullopt;
    for (const std::uint8_t byte : *rest) size = size << 8 | byte;
    if (size > (1u << 21)) return std::nullopt;
  }
  return socket.Receive(size);
}

bool RawCurvePeer::SayHello(RawSocket& socket) {
  if (!socket.Send(Greeting()) || !socket.Receive(64) || !socket.Send(Hello())) return false;
  const auto welcome = ReceiveFrame(socket);
  return welcome && TakeWelcome(*welcome);
}

bool RawCurvePeer::Handshake(RawSocket& socket, const std::vector<std::pair<std::string, std::string>>& metadata) {
  if (!SayHello(socket) || !socket.Send(Initiate(metadata))) return false;
  const auto ready = ReceiveFrame(socket);
  return ready && AsText(*ready).starts_with("\x05READY");
}

std::vector<std::pair<std::string, std::string>> DealerMetadata() {
  return {{"Socket-Type", "DEALER"}, {"Identity", ""}};
}

}  // namespace hemafed::wire::testing_support
