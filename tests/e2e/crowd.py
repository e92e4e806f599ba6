"""Many clients at once in one thread: plain UDP sockets, each with one question under way, that ask again until they are answered and check every number."""
import errno
import random
import selectors
import socket
import threading
import time

import msgpack
import numpy

import common
from appliance import PORT

FIRST_PATIENCE_S, LAST_PATIENCE_S = 0.05, 0.8
ATTEMPTS = 40
IP_MTU_DISCOVER, IP_PMTUDISC_DO, IP_MTU = 10, 2, 14
IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DO, IPV6_MTU = 23, 2, 24
HEADERS = {socket.AF_INET: 28, socket.AF_INET6: 48}
MESSAGE = 64  # bytes of a message around its tensor, at most


class Asker:
    """One socket and its question."""

    def __init__(self, crowd, namespace, address, number):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.crowd, self.family = crowd, family
        self.socket = namespace.socket(family)
        self.socket.setblocking(False)
        if family == socket.AF_INET:
            self.socket.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
        else:
            self.socket.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DO)
        self.socket.connect((address, PORT))
        self.random = random.Random(crowd.seed * 1000 + number)
        self.id = number << 32
        self.last = None
        self.begin()

    def path_mtu(self):
        return self.socket.getsockopt(*((socket.IPPROTO_IP, IP_MTU) if self.family == socket.AF_INET else (socket.IPPROTO_IPV6, IPV6_MTU)))

    def begin(self, most=None):
        """A question of as many rows as the path is known to carry, both ways, and at most MOST."""
        room = self.path_mtu() - HEADERS[self.family] - MESSAGE
        width = max(self.crowd.questions.shape[1], self.crowd.width_out) * 4
        self.rows = self.random.randint(1, max(1, min(most or self.crowd.rows_max, room // width)))
        self.first = self.random.randrange(len(self.crowd.questions) - self.rows)
        self.id += 1
        self.attempts, self.patience = 0, FIRST_PATIENCE_S
        tensor = self.crowd.questions[self.first:self.first + self.rows].tobytes()
        self.datagram = msgpack.packb([1, 1, self.id, self.crowd.model, None, 0, [tensor]])
        self.send()

    def send(self):
        self.attempts += 1
        self.crowd.sent += 1
        assert self.attempts <= ATTEMPTS, f"no answer to {self.attempts - 1} attempts"
        self.due = time.monotonic() + self.patience
        self.patience = min(self.patience * 2, LAST_PATIENCE_S)
        try:
            self.socket.send(self.datagram)
        except OSError as error:
            if error.errno == errno.EMSGSIZE:  # the path has become narrower: another question
                self.crowd.narrowed += 1
                self.begin()
            elif error.errno not in (errno.ENOBUFS, errno.EAGAIN, errno.EHOSTUNREACH, errno.ECONNREFUSED):
                raise

    def receive(self):
        while True:
            try:
                data = self.socket.recv(65535)
            except BlockingIOError:
                return
            except OSError as error:  # what ICMP or ARP said
                assert error.errno in (errno.EMSGSIZE, errno.EHOSTUNREACH), error
                continue
            self.take(msgpack.unpackb(data))

    def take(self, answer):
        if self.last is not None and answer[2] == self.last[2]:
            # A double: of another version perhaps, but to the same question, and as right.
            self.crowd.doubled += 1
            if answer[1] == 2:
                self.check(answer, *self.last[3])
            return
        if answer[2] != self.id:
            assert answer[2] < self.id, f"an answer to what was not asked: {answer[:4]}"
            self.crowd.late += 1
            return
        if answer[1] == 3 and answer[3] == 10:
            self.crowd.busy += 1
            self.due = time.monotonic() + (answer[5] if len(answer) > 5 else 0) / 1e6
            return
        if answer[1] == 3 and answer[3] == 8 and self.rows > 1:
            # The way back is narrower than the way there, as the server was told.
            self.crowd.narrowed += 1
            self.begin(self.rows // 2)
            return
        assert answer[1] == 2, answer
        self.check(answer, self.first, self.rows)
        self.last = (answer[0], answer[1], answer[2], (self.first, self.rows))
        self.crowd.versions[answer[3]] = self.crowd.versions.get(answer[3], 0) + 1
        with self.crowd.news:
            self.crowd.answered += 1
            self.crowd.news.notify_all()
        self.begin()

    def check(self, answer, first, rows):
        expected = self.crowd.answers[answer[3]][first:first + rows]
        common.close(numpy.frombuffer(answer[4][0], numpy.float32).reshape(expected.shape), expected)


class Crowd(threading.Thread):
    """COUNT clients of MODEL in NAMESPACE, at ADDRESSES in turn. ANSWERS: by version, to each row of QUESTIONS. Ends with finish(), which raises what went wrong."""

    def __init__(self, namespace, addresses, count, model, questions, answers, rows_max, seed):
        super().__init__()
        self.model, self.questions, self.answers, self.rows_max, self.seed = model, questions, answers, rows_max, seed
        self.width_out = next(iter(answers.values())).shape[1]
        self.sent = self.answered = self.doubled = self.late = self.busy = self.narrowed = 0
        self.versions, self.error, self.ending, self.ended = {}, None, False, False
        self.news = threading.Condition()  # another answer, or the end
        # Sockets are made here: a thread that changes its namespace changes its own alone.
        self.askers = [Asker(self, namespace, addresses[i % len(addresses)], i + 1) for i in range(count)]
        self.start()

    def run(self):
        try:
            with selectors.DefaultSelector() as selector:
                for asker in self.askers:
                    selector.register(asker.socket, selectors.EVENT_READ, asker)
                while not self.ending:
                    for key, _ in selector.select(0.02):
                        key.data.receive()
                    now = time.monotonic()
                    for asker in self.askers:
                        if now >= asker.due:
                            asker.send()
        except BaseException as error:
            self.error = error
        finally:
            with self.news:
                self.ended = True
                self.news.notify_all()

    def wait(self, answered, seconds):
        """Until so many more are answered."""
        with self.news:
            goal = self.answered + answered
            self.news.wait_for(lambda: self.answered >= goal or self.ended, seconds)
        if self.error:
            raise self.error
        assert self.answered >= goal, f"{goal - self.answered} of {answered} were not answered in {seconds} s: {self}"

    def finish(self):
        self.ending = True
        self.join()
        for asker in self.askers:
            asker.socket.close()
        if self.error:
            raise self.error

    def __str__(self):
        return (f"{self.answered:,} answered by {dict(sorted(self.versions.items()))}, {self.sent - self.answered:,} sent again, {self.doubled:,} doubled, {self.late:,} late, "
                f"{self.busy:,} told to come back, {self.narrowed:,} made smaller")
