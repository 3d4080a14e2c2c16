/// A proxy that adds latency: what a client sends is held for a while, what the server answers passes at once.
///
/// delay_proxy ADDRESS PORT SERVER_ADDRESS SERVER_PORT MICROSECONDS. Port 0 takes a free one. Prints one line of JSON when it
/// listens and ends when its standard input does, that is with its parent.

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <string>

namespace {

using Clock = std::chrono::steady_clock;

/// One end of a proxied connection: what was read here goes to `peer`.
struct End {
  int fd = -1;
  End* peer = nullptr;
  bool is_client = false;
  std::string unsent;

  /// Sends what the socket takes now; the rest waits for EPOLLOUT. Returns false when the connection is over.
  bool flush() {
    while (!unsent.empty()) {
      const ssize_t size = send(fd, unsent.data(), unsent.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (size < 0) return errno == EAGAIN || errno == EINTR;
      unsent.erase(0, static_cast<std::size_t>(size));
    }
    return true;
  }
};

struct Pair {
  End client, server;
  ~Pair() {
    close(client.fd);
    close(server.fd);
  }
};

struct Held {
  Clock::time_point due;
  std::uint64_t pair;
  std::string bytes;
};

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

sockaddr_in place(const char* address, const char* port) {
  sockaddr_in found{};
  found.sin_family = AF_INET;
  found.sin_port = htons(static_cast<std::uint16_t>(std::atoi(port)));
  if (inet_pton(AF_INET, address, &found.sin_addr) != 1) fail(address);
  return found;
}

class Proxy {
 public:
  Proxy(int listener, sockaddr_in server, std::chrono::microseconds delay) : listener_(listener), server_(server), delay_(delay) {
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    timer_ = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    for (const int fd : {listener_, timer_, STDIN_FILENO}) watch(EPOLL_CTL_ADD, fd, EPOLLIN, static_cast<std::uint64_t>(fd));
  }

  void run() {
    for (epoll_event events[64];;) {
      const int count = epoll_wait(epoll_, events, 64, -1);
      for (int i = 0; i < count; ++i) handle(events[i].data.u64, events[i].events);
      release();
    }
  }

 private:
  // What an event is for: a descriptor of the proxy's own, or 2 × the number of a pair, plus one for the server's end.
  static constexpr std::uint64_t first_pair = 1 << 20;

  void watch(int what, int fd, std::uint32_t wanted, std::uint64_t mark) const {
    epoll_event event{};
    event.events = wanted;
    event.data.u64 = mark;
    epoll_ctl(epoll_, what, fd, &event);
  }

  void handle(std::uint64_t mark, std::uint32_t what) {
    char bytes[65536];
    if (mark == STDIN_FILENO) {
      if (read(STDIN_FILENO, bytes, sizeof bytes) <= 0) _exit(0);
    } else if (mark == static_cast<std::uint64_t>(timer_)) {
      [[maybe_unused]] const ssize_t size = read(timer_, bytes, 8);
    } else if (mark == static_cast<std::uint64_t>(listener_)) {
      accept_one();
    } else {
      const auto found = pairs_.find(mark / 2);
      if (found == pairs_.end()) return;
      End& end = mark % 2 == 0 ? found->second->client : found->second->server;
      bool is_open = end.flush();
      if (is_open && (what & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
        const ssize_t size = recv(end.fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (size > 0 && end.is_client) {
          held_.push_back({Clock::now() + delay_, found->first, std::string(bytes, static_cast<std::size_t>(size))});
          if (held_.size() == 1) set_timer();
        } else if (size > 0) {
          end.peer->unsent.append(bytes, static_cast<std::size_t>(size));
          is_open = end.peer->flush();
        } else {
          is_open = size < 0 && (errno == EAGAIN || errno == EINTR);
        }
      }
      is_open ? watch_both(found->first, *found->second) : static_cast<void>(pairs_.erase(found));
    }
  }

  void accept_one() {
    const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) return;
    auto pair = std::make_unique<Pair>();
    pair->client.fd = client;
    pair->client.is_client = true;
    pair->client.peer = &pair->server;
    pair->server.peer = &pair->client;
    pair->server.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int yes = 1;
    for (const int fd : {pair->client.fd, pair->server.fd}) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (connect(pair->server.fd, reinterpret_cast<sockaddr*>(&server_), sizeof server_) != 0) return;
    const std::uint64_t number = next_pair_++;
    watch(EPOLL_CTL_ADD, pair->client.fd, EPOLLIN, 2 * number);
    watch(EPOLL_CTL_ADD, pair->server.fd, EPOLLIN, 2 * number + 1);
    pairs_.emplace(number, std::move(pair));
  }

  void watch_both(std::uint64_t number, const Pair& pair) const {
    for (const End* end : {&pair.client, &pair.server}) {
      watch(EPOLL_CTL_MOD, end->fd, EPOLLIN | (end->unsent.empty() ? 0u : EPOLLOUT), 2 * number + (end->is_client ? 0 : 1));
    }
  }

  /// Passes on what is due; the delay is the same for all, so the oldest is due first.
  void release() {
    if (held_.empty() || held_.front().due > Clock::now()) return;
    while (!held_.empty() && held_.front().due <= Clock::now()) {
      const auto found = pairs_.find(held_.front().pair);
      if (found != pairs_.end()) {
        found->second->server.unsent += held_.front().bytes;
        found->second->server.flush() ? watch_both(found->first, *found->second) : static_cast<void>(pairs_.erase(found));
      }
      held_.pop_front();
    }
    set_timer();
  }

  void set_timer() const {
    if (held_.empty()) return;
    const auto left = std::chrono::duration_cast<std::chrono::nanoseconds>(held_.front().due - Clock::now()).count();
    itimerspec when{};
    when.it_value.tv_sec = left > 0 ? left / 1'000'000'000 : 0;
    when.it_value.tv_nsec = left > 0 ? left % 1'000'000'000 : 1;
    timerfd_settime(timer_, 0, &when, nullptr);
  }

  int listener_;
  sockaddr_in server_;
  std::chrono::microseconds delay_;
  int epoll_, timer_;
  std::uint64_t next_pair_ = first_pair;
  std::map<std::uint64_t, std::unique_ptr<Pair>> pairs_;
  std::deque<Held> held_;
};

}  // namespace

int main(int count, char** arguments) {
  if (count != 6) {
    std::fprintf(stderr, "delay_proxy ADDRESS PORT SERVER_ADDRESS SERVER_PORT MICROSECONDS\n");
    return 2;
  }
  std::signal(SIGPIPE, SIG_IGN);
  sockaddr_in address = place(arguments[1], arguments[2]);
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int yes = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  socklen_t size = sizeof address;
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0) fail("bind");
  if (listen(listener, 1024) != 0) fail("listen");
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  std::printf("{\"address\": \"%s\", \"port\": %d}\n", arguments[1], ntohs(address.sin_port));
  std::fflush(stdout);
  Proxy(listener, place(arguments[3], arguments[4]), std::chrono::microseconds(std::atol(arguments[5]))).run();
}
