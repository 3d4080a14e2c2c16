/// Authenticators that are written in Python, as the driver's I/O threads meet them: a lock and a bounded wait, never the GIL.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <mutex>
#include <string>

#include "driver.hpp"

namespace acsylla_like {

/// What a cluster's connections answer when the server asks who they are. Shared by its owner in Python and the driver, which
/// may keep it for longer.
class Authenticator {
 public:
  enum Kind { RENEWAL, CHALLENGE, SUCCESS, END };

  /// From an I/O thread to the worker. An END is told after the last of an exchange and is not answered.
  struct Question {
    std::uint64_t id = 0;
    std::uint64_t exchange = 0;  // the connection's, the same in all of its questions
    Kind kind = RENEWAL;
    std::string token;
    std::string address;  // of the node, as text
    std::string server;   // the authenticator's class there
  };

  /// `timeout`: seconds for which an I/O thread waits for an answer. `renew_after`: seconds after which the response that
  /// connections begin with is asked for again. What is not wanted as a question is answered here: a challenge by an error, a
  /// success by nothing.
  Authenticator(double timeout, double renew_after, bool wants_challenges, bool wants_success);

  /// The response that connections begin with, from now on. Any thread.
  void set_response(std::string response);

  /// Begins to take questions; returns the number by which the one worker that answers them is known. Any thread.
  std::uint64_t open();
  /// Ends that: the worker's next() returns false, and whoever waits gets an error. Any thread.
  void close() noexcept;
  /// Blocks until there is a question; false when it is no longer this worker that answers. The worker.
  bool next(std::uint64_t worker, Question& question);
  /// Both return false when nobody waits for it any more. The worker.
  bool answer(std::uint64_t id, std::string response);
  bool refuse(std::uint64_t id, std::string reason);

  /// What an I/O thread does next: sends `text`, or gives up for the reason in `text`.
  struct Reply {
    bool is_good = false;
    std::string text;
  };
  /// I/O threads.
  Reply begin(Question question);
  Reply evaluate(Question question);
  Reply succeed(Question question);
  void end(std::uint64_t exchange);
  std::uint64_t new_exchange();

 private:
  using Clock = std::chrono::steady_clock;
  struct Waiting {
    std::uint64_t id;
    bool is_answered;
    Reply reply;
  };
  Reply ask(std::unique_lock<std::mutex>& lock, Question question);
  bool settle(std::uint64_t id, bool is_good, std::string text);

  const Clock::duration timeout_;
  const Clock::duration renew_after_;
  const bool wants_challenges_;
  const bool wants_success_;
  std::mutex mutex_;  // guards all that follows
  std::condition_variable asked_;
  std::condition_variable answered_;
  std::deque<Question> questions_;
  std::list<Waiting*> waiting_;  // each on the stack of the thread that waits
  std::uint64_t last_id_ = 0;
  std::uint64_t worker_ = 0;
  bool is_open_ = false;
  bool has_response_ = false;
  std::string response_;
  Clock::time_point response_made_;
};

/// Has the cluster's connections ask `authenticator`. What the driver's library lacks for it, the caller has looked for.
CassError attach_authenticator(CassCluster* cluster, std::shared_ptr<Authenticator> authenticator);

}  // namespace acsylla_like
