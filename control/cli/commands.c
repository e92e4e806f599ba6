/* The table of commands: the one source of the help, the man page, and the completion. */
#include "control/cli/ctl.h"

#include <string.h>

static const struct ctl_option common_options[] = {
	{"config", "FILE", "the configuration that gyrd was started with (docs/gyr.conf shows every key)"},
	{"run-dir", "DIR", "where gyrd's socket is, over the configuration's gyrd.run_dir"},
	{"json", NULL, "print JSON"},
	{"help", NULL, "say what the command does, and its options"},
	{0},
};

static const struct ctl_option promote_options[] = {
	{"label", "NAME", "the label that shall point at the version; default: stable, which requests go by that name none"},
	{"expect", "VERSION", "promote only while the label points at this one, 0 for none"},
	{"force", NULL, "promote also a version with other inputs or outputs than the present one"},
	{0},
};

static const struct ctl_option import_options[] = {
	{"dim", "NAME=SIZE", "the size of a dimension that an ONNX file leaves open, but for the batch; may be repeated"},
	{"shape", "INPUT=SIZE,...", "the whole shape of an input, the first size perhaps N, the batch; may be repeated"},
	{"value", "INPUT=NUMBER", "what an input always holds; it is then no input any more; may be repeated"},
	{"versions", "all|latest:N|N,N,...", "of a folder: which versions (all)"},
	{"bf16-bound", "X", "how far answers may be off for weights in bf16, over the largest number of an output, such as 0.02 (not at all)"},
	{0},
};

static const struct ctl_option export_options[] = {
	{"format", "onnx|bundle", "default: onnx when FILE ends with .onnx, else bundle"},
	{0},
};

static const struct ctl_option stop_options[] = {
	{"expect", "PID", "end only the gyrd that is this process"},
	{"keep-dataplane", NULL, "end only gyrd; the data plane serves on, and the next gyrd takes it over"},
	{0},
};

const struct ctl_command ctl_commands[] = {
	{"status", "", 0, 0, NULL, "how gyrd and the data plane are",
	 "Shows whether the data plane answers, its ports, cores and loaded versions, and the counters that are not 0.\n"
	 "  gyrctl status\n  gyrctl status --json | jq .dataplane.state\n",
	 ctl_status},
	{"stats", "", 0, 0, ctl_stats_options, "every counter of the data plane",
	 "Shows what the data plane has counted: each lcore, queue, port, model and version. Without --json, what is 0 is left out.\n"
	 "  gyrctl stats --explain\n  gyrctl stats --json | jq '.versions[].stages.total'\n",
	 ctl_stats},
	{"top", "", 0, 0, ctl_top_options, "what the data plane does, live",
	 "Shows rates, how busy each lcore is, and each version's times, of the last interval alone. q ends it.\n"
	 "  gyrctl top\n  gyrctl top --json --interval 10000 >> figures\n",
	 ctl_top},
	{"train", "NAME", 1, 1, ctl_train_options, "train a model and register it as the next version",
	 "Trains a dense net, or trains a version further, on CSV, NPY or IDX files, and registers the result. Interrupting it cancels the training; a lost\n"
	 "terminal does not.\n"
	 "  gyrctl train fashion --data train-images-idx3-ubyte.gz --targets train-labels-idx1-ubyte.gz \\\n"
	 "    --sizes 784-128-10 --divisor 255 --loss cross-entropy --epochs 5 --batch 64\n"
	 "  gyrctl train fashion --from 1 --data ... --targets ... --loss cross-entropy --epochs 3 --promote\n",
	 ctl_train, CTL_CHANGES | CTL_JOB | CTL_GUARDED},
	{"model import", "NAME FILE", 2, 2, import_options, "register an ONNX file or a bundle as the next version",
	 "The content tells which of both FILE is. A content that the model has already gives its version. FILE may be a folder in the layout that Triton "
	 "uses\n"
	 "(FILE/VERSION/model.onnx): its versions are registered one after another, and count on from the model's newest.\n  gyrctl model import fraud "
	 "fraud.onnx\n"
	 "  gyrctl model import fraud fraud.onnx --bf16-bound 0.02\n"
	 "  gyrctl model import fraud /srv/models/fraud --versions latest:2\n"
	 "  gyrctl model import reader reader.onnx --dim steps=64 --shape picture=N,3,48,192\n"
	 "  gyrctl model import voice voice.onnx --shape input=1,512 --shape state=2,1,128 --value sr=16000\n",
	 ctl_model_import, CTL_CHANGES | CTL_JOB | CTL_GUARDED},
	{"model follow", "NAME FOLDER", 2, 2, ctl_follow_options, "import and load what appears in a folder, from now on",
	 "FOLDER has the layout that Triton uses: FOLDER/VERSION/model.onnx, VERSION a whole number. It is looked at every gyrd.follow_interval_s seconds. "
	 "What the\n"
	 "policy chooses is registered and loaded; what it chooses no more is unloaded, unless a label points at it. A second time takes the place of the "
	 "first.\n"
	 "  gyrctl model follow fraud /srv/models/fraud --versions latest:2 --promote\n"
	 "  gyrctl model follow fraud /srv/models/fraud --versions 3,7\n",
	 ctl_model_follow, CTL_CHANGES},
	{"model unfollow", "NAME", 1, 1, NULL, "follow a model's folder no more", "What is loaded stays so.\n  gyrctl model unfollow fraud\n",
	 ctl_model_unfollow, CTL_CHANGES},
	{"model follows", "", 0, 0, NULL, "the folders that are followed", "  gyrctl model follows\n", ctl_model_follows},
	{"model list", "", 0, 0, NULL, "the models, their versions and labels", "  gyrctl model list\n", ctl_model_list},
	{"model show", "NAME [VERSION]", 1, 2, NULL, "one model, and one version's signature and lineage",
	 "Without VERSION, the newest is shown.\n  gyrctl model show fashion 2\n", ctl_model_show},
	{"model set", "NAME SETTING=VALUE...", 2, 9, NULL, "set how a model is treated beside others",
	 "weight (1 to 1000): its part of the engines' time against other models of its priority. priority (0 to 7): it comes before all of lesser priority.\n"
	 "queue_limit: requests that may wait for one engine CPU, 0 for no limit of its own. max_delay_us: how long a request may wait for others to be\n"
	 "computed with. What is not named stays as it was.\n  gyrctl model set fraud weight=3 max_delay_us=50\n",
	 ctl_model_set, CTL_CHANGES},
	{"model export", "NAME VERSION FILE", 3, 3, export_options, "write a version to a file", "  gyrctl model export fashion 2 fashion.onnx\n",
	 ctl_model_export, CTL_CHANGES | CTL_JOB},
	{"model remove", "NAME VERSION", 2, 2, NULL, "take a version out of the registry",
	 "One that the data plane holds, or shall hold, is refused. Its number is not given again. Its file stays until \"gyrctl gc\" frees it.\n"
	 "  gyrctl model remove fashion 1\n",
	 ctl_model_remove, CTL_CHANGES},
	{"load", "NAME [VERSION]", 1, 2, NULL, "have the data plane hold a version",
	 "Without VERSION, the newest is loaded. It serves requests that ask for it by its number.\n"
	 "  gyrctl load fashion 2\n",
	 ctl_load, CTL_CHANGES | CTL_JOB},
	{"unload", "NAME VERSION", 2, 2, NULL, "have the data plane drop a version",
	 "A version that a label points at is refused.\n  gyrctl unload fashion 1\n", ctl_unload, CTL_CHANGES | CTL_JOB},
	{"promote", "NAME [VERSION]", 1, 2, promote_options, "point a label at a version, loading it first",
	 "Without VERSION, the newest is promoted. The version before stays loaded: promoting it again is the way back.\n"
	 "  gyrctl promote fashion 2\n  gyrctl promote fashion 3 --label canary\n",
	 ctl_promote, CTL_CHANGES | CTL_JOB},
	{"predict", "NAME INPUT...", 2, 9, ctl_predict_options, "ask a model over UDP",
	 "Each INPUT is a JSON array (of a scalar its number), or a file: JSON, IDX (also gzip'd) or raw elements, of which --row takes one row.\n"
	 "  gyrctl predict iris '[5.1, 3.5, 1.4, 0.2]'\n  gyrctl predict fashion t10k-images-idx3-ubyte.gz --row 7\n",
	 ctl_predict},
	{"verify", "", 0, 0, NULL, "check that everything that is kept is as it was written",
	 "Reads the whole database, the audit's chain and every version's file. The exit status is 1 when something is damaged.\n"
	 "  gyrctl verify\n  gyrctl verify --json | tail -n 1 | jq .faults\n",
	 ctl_verify},
	{"gc", "", 0, 0, ctl_gc_options, "show, and free, files that no version refers to",
	 "Such files are left by removed versions and by imports that were cut short. Without --yes nothing is freed.\n"
	 "  gyrctl gc\n  gyrctl gc --yes\n",
	 ctl_gc},
	{"audit", "[NAME]", 0, 1, ctl_audit_options, "who changed what, and when",
	 "The newest first; of one model where NAME is given. Each row carries a hash over itself and the row before.\n"
	 "  gyrctl audit\n  gyrctl audit fashion --limit 100 --json\n",
	 ctl_audit},
	{"job list", "", 0, 0, NULL, "what gyrd is doing, and has done",
	 "Trainings, imports, exports, loads and promotions since gyrd started, the newest first; of those that have ended, the last 64.\n"
	 "They go on when the terminal is lost.\n"
	 "  gyrctl job list\n",
	 ctl_job_list},
	{"job show", "JOB", 1, 1, NULL, "one job, and its result", "  gyrctl job show 3\n  gyrctl job show 3 --json | jq .result\n", ctl_job_show},
	{"job follow", "JOB", 1, 1, NULL, "wait for a job's end, showing its progress",
	 "Ends as the call would have that began it. Interrupting it leaves the job alone.\n  gyrctl job follow 3\n", ctl_job_follow},
	{"job cancel", "JOB", 1, 1, NULL, "end a job",
	 "A run of gyr-worker, or a load, ends at once and leaves nothing behind. What is being registered or routed to is refused.\n  gyrctl job cancel 3\n",
	 ctl_job_cancel, CTL_CHANGES},
	{"completion", "bash|zsh", 1, 1, NULL, "print what completes gyrctl's words in a shell",
	 "It asks gyrd for the names of models, versions and jobs.\n"
	 "  source <(gyrctl completion bash)\n  gyrctl completion zsh > ~/.zfunc/_gyrctl\n",
	 ctl_completion},
	{"man", "", 0, 0, NULL, "print gyrctl's man page", "  gyrctl man | man -l -\n", ctl_man},
	{"complete", "AT WORD...", 1, CTL_WORDS_MAX, NULL, NULL, "", ctl_complete},
	{"stop", "", 0, 0, stop_options, "end gyrd, and the data plane that it supervises", "  gyrctl stop\n", ctl_stop, CTL_CHANGES},
	{0},
};

static const struct ctl_option change_options[] = {
	{"dry-run", NULL, "check everything, and say what would be done, without doing it"},
	{0},
};

static const struct ctl_option guard_options[] = {
	{"expect", "VERSION", "only while this is the model's newest version, 0 for none"},
	{0},
};

void ctl_option_lists(const struct ctl_command *command, const struct ctl_option *lists[CTL_OPTION_LISTS_MAX])
{
	uint32_t count = 0;
	if (command != NULL && command->options != NULL)
		lists[count++] = command->options;
	if (command != NULL && (command->kinds & CTL_GUARDED) != 0)
		lists[count++] = guard_options;
	if (command != NULL && (command->kinds & CTL_JOB) != 0)
		lists[count++] = ctl_job_options;
	if (command != NULL && (command->kinds & CTL_CHANGES) != 0)
		lists[count++] = change_options;
	lists[count++] = common_options;
	lists[count] = NULL;
}

const struct ctl_command *ctl_find_command(char **arguments, int *taken)
{
	for (const struct ctl_command *command = ctl_commands; command->name != NULL; command++) {
		size_t first = strcspn(command->name, " ");
		if (strlen(arguments[0]) != first || strncmp(arguments[0], command->name, first) != 0)
			continue;
		*taken = 1;
		if (command->name[first] == '\0')
			return command;
		*taken = 2;
		if (arguments[1] != NULL && strcmp(arguments[1], command->name + first + 1) == 0)
			return command;
	}
	return NULL;
}
