/// A CQL server that does nothing and answers at once, so that a bench measures its clients.
///
/// null_server ADDRESS PORT THREADS TABLE_ROWS BULK_ROWS. Port 0 takes a free one. Prints one line of JSON when it listens and ends
/// when its standard input does, that is with its parent.

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "answers.hpp"
#include "wire.hpp"

namespace {

using null_server::Answers;
using null_server::Reader;

constexpr std::size_t header_size = 9;
constexpr std::size_t max_body = 64u << 20;

/// One client's connection; belongs to the one thread whose epoll watches it.
class Connection {
 public:
  explicit Connection(int fd) : fd_(fd) {}
  ~Connection() { close(fd_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  int fd() const { return fd_; }
  bool has_unsent() const { return sent_ < out_.size(); }

  /// Takes what came and answers it. Returns false when the connection is over.
  bool receive(Answers& answers) {
    for (;;) {
      if (in_.size() - have_ < 65536) in_.resize(have_ + 262144);
      const ssize_t size = recv(fd_, in_.data() + have_, in_.size() - have_, MSG_DONTWAIT);
      if (size == 0) return false;
      if (size < 0) return errno == EAGAIN || errno == EINTR;
      have_ += static_cast<std::size_t>(size);
      if (!answer(answers)) return false;
      if (!send_unsent()) return false;
      if (have_ < in_.size() / 2) return true;  // level triggered: what is left wakes us again
    }
  }

  /// Sends as much as the socket takes. Returns false when the connection is over.
  bool send_unsent() {
    while (has_unsent()) {
      const ssize_t size = send(fd_, out_.data() + sent_, out_.size() - sent_, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (size < 0) return errno == EAGAIN || errno == EINTR;
      sent_ += static_cast<std::size_t>(size);
    }
    out_.clear();
    sent_ = 0;
    return true;
  }

 private:
  bool answer(Answers& answers) {
    std::size_t at = 0;
    while (have_ - at >= header_size) {
      Reader header(std::string_view(in_.data() + at, header_size));
      const std::uint8_t version = header.byte();
      const std::uint8_t flags = header.byte();
      const std::uint16_t stream = header.shorter();
      const std::uint8_t opcode = header.byte();
      const auto size = header.number<std::uint32_t>();
      if (size > max_body) return false;
      if (have_ - at - header_size < size) break;
      if (!answers.respond(version, flags, stream, opcode, std::string_view(in_.data() + at + header_size, size), out_)) return false;
      at += header_size + size;
    }
    have_ -= at;
    if (have_ > 0 && at > 0) in_.replace(0, have_, in_, at, have_);
    return true;
  }

  int fd_;
  std::string in_;
  std::size_t have_ = 0;  // bytes of in_ that were received and not answered
  std::string out_;
  std::size_t sent_ = 0;
};

void serve(int epoll, Answers& answers) {
  std::vector<epoll_event> events(256);
  for (;;) {
    const int count = epoll_wait(epoll, events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < count; ++i) {
      auto* connection = static_cast<Connection*>(events[static_cast<std::size_t>(i)].data.ptr);
      const auto what = events[static_cast<std::size_t>(i)].events;
      const bool had_unsent = connection->has_unsent();
      bool is_open = connection->send_unsent();
      if (is_open && (what & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) is_open = connection->receive(answers);
      if (!is_open) {
        delete connection;  // closing takes it out of the epoll
      } else if (connection->has_unsent() != had_unsent) {
        epoll_event wanted{};
        wanted.events = EPOLLIN | (connection->has_unsent() ? EPOLLOUT : 0u);
        wanted.data.ptr = connection;
        epoll_ctl(epoll, EPOLL_CTL_MOD, connection->fd(), &wanted);
      }
    }
  }
}

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 6) {
    std::fprintf(stderr, "null_server ADDRESS PORT THREADS TABLE_ROWS BULK_ROWS\n");
    return 2;
  }
  std::signal(SIGPIPE, SIG_IGN);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(arguments[2])));
  if (inet_pton(AF_INET, arguments[1], &address.sin_addr) != 1) fail("the address");
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int yes = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  socklen_t size = sizeof address;
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0) fail("bind");
  if (listen(listener, 1024) != 0) fail("listen");
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);

  Answers answers(arguments[1], static_cast<std::uint32_t>(std::atoi(arguments[4])), static_cast<std::uint32_t>(std::atoi(arguments[5])));
  std::vector<int> epolls;
  for (int i = 0; i < std::atoi(arguments[3]); ++i) {
    epolls.push_back(epoll_create1(EPOLL_CLOEXEC));
    std::thread(serve, epolls.back(), std::ref(answers)).detach();
  }
  std::printf("{\"address\": \"%s\", \"port\": %d}\n", arguments[1], ntohs(address.sin_port));
  std::fflush(stdout);

  pollfd watched[2] = {{STDIN_FILENO, POLLIN, 0}, {listener, POLLIN, 0}};
  for (std::size_t next = 0;;) {
    if (poll(watched, 2, -1) < 0) continue;
    char ignored[256];
    if (watched[0].revents != 0 && read(STDIN_FILENO, ignored, sizeof ignored) <= 0) _exit(0);
    if (watched[1].revents == 0) continue;
    const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) continue;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    epoll_event wanted{};
    wanted.events = EPOLLIN;
    wanted.data.ptr = new Connection(fd);
    epoll_ctl(epolls[next++ % epolls.size()], EPOLL_CTL_ADD, fd, &wanted);
  }
}
