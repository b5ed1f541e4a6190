// Threads inherit the signal mask of their maker: ours leave signals to the program's own threads.
#pragma once

#include <csignal>

namespace llmc {

class SignalsBlocked {
public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &saved);
  }
  ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &saved, nullptr); }
  SignalsBlocked(const SignalsBlocked &) = delete;
  SignalsBlocked &operator=(const SignalsBlocked &) = delete;

private:
  sigset_t saved;
};

} // namespace llmc
