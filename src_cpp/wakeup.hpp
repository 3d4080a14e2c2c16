/// A file descriptor that becomes readable when something waits: eventfd on Linux, a pipe elsewhere or on request.
#pragma once

namespace acsylla_like {

class Wakeup {
 public:
  Wakeup() = default;
  ~Wakeup() { close(); }
  Wakeup(const Wakeup&) = delete;
  Wakeup& operator=(const Wakeup&) = delete;

  /// Opens the descriptors, non-blocking and closed on exec. Returns false with errno set when the system refuses.
  bool open(bool prefer_pipe) noexcept;
  /// Idempotent. The caller makes sure that no thread signals any more (Mailbox::set_wakeup).
  void close() noexcept;

  /// The descriptor to watch for reading, or -1.
  int fd() const noexcept { return read_fd_; }
  /// Makes fd() readable. Any thread.
  void signal() noexcept;
  /// Makes fd() unreadable until the next signal. The consumer's thread.
  void clear() noexcept;

 private:
  int read_fd_ = -1;
  int write_fd_ = -1;  // the same descriptor as read_fd_ for an eventfd
};

}  // namespace acsylla_like
