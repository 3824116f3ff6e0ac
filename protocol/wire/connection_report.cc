// SPDX-License-Identifier: Apache-2.0
#include "protocol/wire/connection_report.h"

#include <zmq.h>
#include <vector>

namespace hemafed::wire {

std::optional<ConnectionNews> ConnectionReport::Note(const MonitorEvent& event) {
  switch (event.event) {
    case ZMQ_EVENT_CONNECTED:
      ++counts_.connected;
      failure_told_ = false;
      return std::nullopt;
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
      counts_ = {};
      ready_ = true;
      return ConnectionNews::kReady;
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
      failure_told_ = true;
      ++(event.value == 400 ? counts_.refused : counts_.undecided);
      return ConnectionNews::kRefused;
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
      failure_told_ = true;
      ++counts_.foreign;
      return ConnectionNews::kFailed;
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
      failure_told_ = true;
      ++counts_.closed_in_handshake;
      return ConnectionNews::kFailed;
    case ZMQ_EVENT_DISCONNECTED:
      redial_expected_ = true;
      if (ready_) {
        ready_ = false;
        return ConnectionNews::kDisconnected;
      }
      if (failure_told_) return std::nullopt;
      ++counts_.foreign;  // What came was not even a greeting: libzmq drops that without an event of its own.
      return ConnectionNews::kFailed;
    case ZMQ_EVENT_CONNECT_RETRIED:
      if (redial_expected_) {
        redial_expected_ = false;
        return std::nullopt;
      }
      ++counts_.unanswered;
      return ConnectionNews::kUnreachable;
    default: return std::nullopt;
  }
}

std::string ConnectionReport::Explain(const std::string& server_endpoint) const {
  std::string text;
  std::vector<std::string> causes;
  if (ready_) return "connected to " + server_endpoint;
  if (counts_.refused > 0) {
    text = server_endpoint + " answers and refuses this lab's key.";
    causes = {"the operator has not approved this lab yet: ask, then wait, it connects by itself",
              "the lab was revoked: ask the operator",
              "the folder keys/ is not the one this lab enrolled with: restore it, or enrol again"};
  } else if (counts_.undecided > 0) {
    text = server_endpoint + " answers but cannot decide about this lab's key now.";
    causes = {"the coordinator is starting, stopping or out of resources: it is tried again by itself",
              "too many attempts in a short time: wait a minute"};
  } else if (counts_.foreign > 0) {
    text = "Something answers at " + server_endpoint + " that is not a HemaFed coordinator.";
    causes = {"the address or port names another program: compare it with the token",
              "a proxy or firewall answers in its place: it must pass TCP to that port unchanged",
              "another program holds the coordinator's port"};
  } else if (counts_.closed_in_handshake > 0) {
    text = server_endpoint + " takes the connection and ends it during the handshake, without saying why.";
    causes = {"the server key in the token is not this coordinator's: compare both, or ask for a new token",
              "this lab's key is not approved, was revoked, or tried too often: ask the operator",
              "a proxy or firewall in between cuts connections it does not understand: it must pass TCP unchanged",
              "the port belongs to another program, or the coordinator is stopping"};
  } else if (counts_.unanswered > 0) {
    text = "Nothing answers at " + server_endpoint + ".";
    causes = {"the coordinator is not running, or listens on another port",
              "a firewall here or there blocks the port: outgoing TCP to it must be allowed",
              "the name or address in the token is wrong, or cannot be resolved here"};
  } else if (counts_.connected > 0) {
    return server_endpoint +
           " took the connection and has not answered the handshake yet; a proxy or another program may "
           "be listening there";
  } else {
    return "still dialling " + server_endpoint;
  }
  text += " Possible causes, most likely first:";
  for (std::size_t i = 0; i < causes.size(); ++i) text += "\n  " + std::to_string(i + 1) + ". " + causes[i];
  return text;
}

}  // namespace hemafed::wire
