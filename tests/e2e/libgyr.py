"""The C client of docs/CLIENT.md as it stands there, built with what pkg-config says against the installed libgyr, shared and static, asks an appliance."""
import os
import re
import subprocess
import sys

import common
from appliance import SERVER, STAGE, Appliance, run


def fashion_model(path):
    """As the page asks: u8[N,784] to f32[N,10]."""
    import numpy
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weight = numpy_helper.from_array(numpy.zeros((784, 10), numpy.float32), "w")
    nodes = [helper.make_node("Cast", ["x"], ["c"], to=TensorProto.FLOAT), helper.make_node("MatMul", ["c", "w"], ["y"])]
    row = lambda name, kind, count: helper.make_tensor_value_info(name, kind, ["N", count])
    graph = helper.make_graph(nodes, "fashion", [row("x", TensorProto.UINT8, 784)], [row("y", TensorProto.FLOAT, 10)], [weight])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def main():
    common.need_root()
    page = (common.TOP / "docs/CLIENT.md").read_text()
    source = re.search(r"```c\n(.*?)```", page, re.DOTALL).group(1)
    assert source.count('"127.0.0.1"') == 1
    source = source.replace('"127.0.0.1"', f'"{SERVER}"')
    [description] = STAGE.glob("**/libgyr.pc")
    libraries = description.parent.parent
    environment = {**os.environ, "PKG_CONFIG_PATH": str(description.parent), "PKG_CONFIG_SYSROOT_DIR": str(STAGE.parents[1])}

    def flags(*more):
        return run("pkg-config", "--cflags", "--libs", *more, "libgyr", env=environment).stdout.split()

    needed = re.findall(r"\(NEEDED\).*\[(.*?)\]", run("readelf", "--dynamic", libraries / "libgyr.so").stdout)
    assert set(needed) <= {"libc.so.6", "libm.so.6"}, f"libgyr needs {needed}; the page promises the C library alone"
    with Appliance("af_packet") as appliance:
        folder = appliance.folder
        fashion_model(folder / "fashion.onnx")
        appliance.ctl("model", "import", "fashion", folder / "fashion.onnx")

        def build(name, text, *more):
            (folder / f"{name}.c").write_text(text)
            run("cc", "-Wall", "-Wextra", "-Werror", "-o", folder / name, folder / f"{name}.c", *more)
            return folder / name

        def ask(program):
            command = appliance.client_command("env", f"LD_LIBRARY_PATH={libraries}", program)
            return subprocess.run(command, capture_output=True, text=True, timeout=20)

        shared, static = build("shared", source, *flags()), build("static", source, "-static", *flags("--static"))
        unknown = ask(shared)
        assert unknown.returncode == 1 and unknown.stderr.startswith("unknown model: "), unknown
        appliance.ctl("promote", "fashion", "1")
        for program in (shared, static):
            answer = ask(program)
            assert answer.returncode == 0 and re.fullmatch(r"version 1, \d+\.\d us\n", answer.stdout), answer
            print(program.name, answer.stdout, end="")
        # What is larger than a datagram goes in pieces: it comes whole, and is no input of the model's.
        large = ask(build("large", source.replace("image[784]", "image[2000]"), *flags()))
        assert large.returncode == 1 and large.stderr.startswith("bad shape: "), large
        appliance.stop()


if __name__ == "__main__":
    sys.exit(main())
