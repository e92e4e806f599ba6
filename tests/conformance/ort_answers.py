"""Runs models with ONNX Runtime for engines.py, in a process of its own: Debian's build says a line on stderr for each operator that it knows, and shares their
table with python3-onnx when both are in one process.

Reads pickles of (model bytes, list of questions by name) and writes pickles of lists of answers, one a question, or of what was raised as text.
"""
import pickle
import sys

import onnxruntime


def main():
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    last = session = None
    while True:
        try:
            model, questions = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            if model != last:
                last = None
                session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
                last = model
            result = [session.run(None, question) for question in questions]
        except Exception as error:
            result = str(error)
        pickle.dump(result, sys.stdout.buffer)
        sys.stdout.buffer.flush()


main()
