/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SANDBOX_H
#define SANDBOX_H

/*
 * libsandbox: run untrusted code through sandboxd, each job in a sandbox of its own.
 *
 *   blocking:      sandbox_client_new(), sandbox_client_connect(), sandbox_spec_new() and what sets
 *                  its fields, sandbox_run(), the getters of sandbox_result.
 *   your own loop: sandbox_client_get_fd(), _get_events(), _get_timeout() for poll(),
 *                  sandbox_client_process() when it returns, and callbacks. Whatever ends in _async
 *                  or _start never waits.
 *
 * Rules for every function:
 *  - Times are microseconds, sizes are bytes, CPU quotas are percent of one CPU (150: one and a half).
 *    Points in time are CLOCK_REALTIME unless said otherwise.
 *  - A function that returns int returns 0 or a documented positive number on success, and a negative
 *    errno on failure. Outputs (ret, ret_...) are set on success only.
 *    sandbox_client_get_error() then has the reason as a sentence, and a refusal's code.
 *  - Texts are UTF-8 or any other bytes but NUL; they are copied. Strings and structs that a getter
 *    returns belong to the object and live as long as it, unless said otherwise.
 *  - What a callback is given (results, lists, errors, data) is valid until the callback returns.
 *    Objects with a _ref() function can be kept by calling it.
 *  - Every _free() and _unref() takes NULL and returns NULL: `c = sandbox_client_free(c);`.
 *  - Passing NULL where that is not allowed, or an object that was freed, is a bug of the caller, and
 *    not detected everywhere. A value that cannot be is -EINVAL.
 *  - A client with its jobs and requests is used by one thread at a time; different clients, specs
 *    and results by different threads at once. There is no global state.
 *  - The library touches no signal (its own writes raise no SIGPIPE), prints nothing, and opens
 *    nothing that the caller did not name.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SANDBOX_API __attribute__((visibility("default")))

/* The version of the protocol that this library speaks. */
#define SANDBOX_PROTOCOL 1

/* The socket of sandboxd where $SANDBOXD_SOCKET names no other. */
#define SANDBOX_SOCKET "/run/sandboxd/sandboxd.sock"

/* A time that never comes. */
#define SANDBOX_FOREVER UINT64_MAX

/* Room for a job's id, 16 hex digits, and its NUL. */
#define SANDBOX_JOB_ID_SIZE 17

/* Bytes of each output stream that may be under way before they are consumed, unless the spec or
 * request says otherwise. */
#define SANDBOX_CREDIT_DEFAULT (256 * 1024)

typedef struct sandbox_client sandbox_client;             /* a connection to sandboxd */
typedef struct sandbox_spec sandbox_spec;                 /* what to run, and how */
typedef struct sandbox_job sandbox_job;                   /* a job under way on this connection */
typedef struct sandbox_request sandbox_request;           /* another request under way */
typedef struct sandbox_result sandbox_result;             /* how a job ended */
typedef struct sandbox_job_info sandbox_job_info;         /* a job by its id, running or finished */
typedef struct sandbox_job_list sandbox_job_list;         /* several of them */
typedef struct sandbox_runtime_list sandbox_runtime_list; /* what languages there are */
typedef struct sandbox_profile_list sandbox_profile_list; /* what limits there are */
typedef struct sandbox_host sandbox_host;                 /* what the daemon says of itself */

/* The library's version: "0.1.0". */
SANDBOX_API const char *sandbox_version(void);

/* ---- Errors ---------------------------------------------------------------------------------- */

/* Numbers below 1000 are those of the protocol: the daemon refused. */
enum sandbox_error_code {
        SANDBOX_ERROR_NONE = 0,
        SANDBOX_ERROR_BAD_FRAME = 1,        /* -EPROTO; the connection is closed */
        SANDBOX_ERROR_BAD_REQUEST = 2,      /* -EPROTO; the connection is closed */
        SANDBOX_ERROR_INVALID_ARGUMENT = 3, /* -EINVAL, also when the library finds it itself */
        SANDBOX_ERROR_OVER_LIMIT = 4, /* -ERANGE: over a maximum of the profile, or too large */
        SANDBOX_ERROR_UNKNOWN_RUNTIME = 5, /* -ENOENT */
        SANDBOX_ERROR_UNKNOWN_PROFILE = 6, /* -ENOENT */
        SANDBOX_ERROR_UNAVAILABLE = 7,     /* -ENOPKG: the interpreter is not installed */
        SANDBOX_ERROR_BUSY = 8,            /* -EBUSY: see retry_after_usec */
        SANDBOX_ERROR_DENIED = 9,          /* -EACCES */
        SANDBOX_ERROR_INTERNAL = 10,       /* -EREMOTEIO: a fault of the daemon or the host */
        SANDBOX_ERROR_DRAINING = 11,       /* -ESHUTDOWN: it takes no more jobs */
        SANDBOX_ERROR_NO_SUCH_JOB = 12, /* -ESRCH: not there, no longer kept, or another user's */
        SANDBOX_ERROR_NOT_RUNNING = 13, /* -ECHILD: it has not started, or has ended */
        /* The connection could not be made, or was lost: -ENOENT or -ECONNREFUSED (no daemon),
         * -EACCES, -ECONNRESET (closed by the daemon), -ETIMEDOUT (no answer in time), -EBADMSG,
         * -EMSGSIZE, -ENOBUFS or -EPROTO (nonsense came), -EPROTONOSUPPORT (another version). */
        SANDBOX_ERROR_UNREACHABLE = 1000,
        /* Something in this process: -ENOMEM, a file that cannot be read, -ENOTCONN (not connected),
         * -EOPNOTSUPP (this daemon cannot do that), -EDEADLK (a blocking call from a callback),
         * -ECANCELED (the client was disconnected). */
        SANDBOX_ERROR_LOCAL = 1001
};

/* Why something failed. Made by the library alone; may grow at its end. */
typedef struct sandbox_error {
        int error;                    /* the negative errno; 0: no error */
        enum sandbox_error_code code; /* may be a number that this header has no name for */
        const char *name;             /* "OVER_LIMIT", "UNREACHABLE", "LOCAL"; never NULL */
        const char *field;            /* of the request, as "memory_bytes" or "argv[2]"; "": none */
        const char *message;          /* one sentence, with what to do next. It may quote what
                                       * clients wrote: make it safe before showing it */
        uint64_t retry_after_usec;    /* of BUSY: when trying again may help; 0: not known */
} sandbox_error;

/* The reason of the failure that the last function called on this client, its jobs and requests
 * returned. Never NULL. Valid until the next call with the client. */
SANDBOX_API const sandbox_error *sandbox_client_get_error(const sandbox_client *c);
/* The same for the functions that fill a spec. */
SANDBOX_API const sandbox_error *sandbox_spec_get_error(const sandbox_spec *s);

/* ---- The connection -------------------------------------------------------------------------- */

/* A client that is not connected. -ENOMEM. Free it with sandbox_client_free(). */
SANDBOX_API int sandbox_client_new(sandbox_client **ret);
/* Closes the connection, which cancels its jobs but for detached ones, and frees the client with all
 * jobs and requests on it. No callback is called. Not from a callback. */
SANDBOX_API sandbox_client *sandbox_client_free(sandbox_client *c);

/* Who we are, for the daemon's log: "myprogram 1.0". Before connecting. -ENOMEM. */
SANDBOX_API int sandbox_client_set_name(sandbox_client *c, const char *name);
/* Act for another user, who has these groups: for the user of [Bus] User= in sandboxd.conf alone, anybody
 * else is SANDBOX_ERROR_DENIED. Before connecting; copied. The connection is then that user's in all that
 * it asks. A daemon that cannot do it is -EOPNOTSUPP when connecting. -ENOMEM. */
SANDBOX_API int sandbox_client_set_on_behalf_of(sandbox_client *c, uid_t uid, const gid_t *gids,
        size_t n_gids);
/* How long connecting, and a blocking call whose answer comes at once, may take. 30 s at first;
 * SANDBOX_FOREVER is allowed. sandbox_run() and what waits for jobs have timeouts of their own. */
SANDBOX_API void sandbox_client_set_timeout(sandbox_client *c, uint64_t timeout_usec);

/* Connects to the socket at path (NULL: $SANDBOXD_SOCKET, else SANDBOX_SOCKET), says hello and waits
 * for the reply. -EISCONN when it was done before; else as SANDBOX_ERROR_UNREACHABLE says, or a
 * refusal. After a failure the same client may try again. */
SANDBOX_API int sandbox_client_connect(sandbox_client *c, const char *path);
/* Called once: error is NULL when the client is ready to be used. */
typedef void (
        *sandbox_connect_handler)(sandbox_client *c, const sandbox_error *error, void *userdata);
/* Begins to connect and returns. Until handler (which may be NULL) was called, every request is
 * -ENOTCONN. Errors that show at once are returned, and handler is not called. */
SANDBOX_API int sandbox_client_connect_async(sandbox_client *c, const char *path,
        sandbox_connect_handler handler, void *userdata);
/* As closing it: jobs and requests under way end with -ECANCELED, their callbacks are called. Not
 * from a callback. */
SANDBOX_API void sandbox_client_disconnect(sandbox_client *c);

/* Of the daemon, after connecting. NULL when not connected. */
SANDBOX_API const char *sandbox_client_get_daemon_version(const sandbox_client *c);
/* What the daemon can do: the names in HelloReply.features, by index; NULL after the last. */
SANDBOX_API const char *sandbox_client_get_feature(const sandbox_client *c, size_t index);
/* 1 when it has that feature, else 0. */
SANDBOX_API int sandbox_client_has_feature(const sandbox_client *c, const char *name);
/* The most bytes that one request, and so a job's code with its arguments, can have. */
SANDBOX_API size_t sandbox_client_get_max_request(const sandbox_client *c);

/* ---- For a loop ------------------------------------------------------------------------------ */

/* The socket to poll, the library's: neither read nor close it. -ENOTCONN. It changes only when the
 * client connects or disconnects; while a connection is begun there may be none yet. */
SANDBOX_API int sandbox_client_get_fd(const sandbox_client *c);
/* What to poll it for: POLLIN, POLLOUT, or both. 0: nothing now; then leave it out of the poll, since
 * one that was hung up ends a poll for no event, too. Ask again before each poll. */
SANDBOX_API int sandbox_client_get_events(const sandbox_client *c);
/* When to call sandbox_client_process() at the latest, in CLOCK_MONOTONIC; SANDBOX_FOREVER: only
 * when the socket is ready. */
SANDBOX_API uint64_t sandbox_client_get_timeout(const sandbox_client *c);
/* Sends and receives what can be done at once, and calls callbacks. Never waits. 1 when something
 * came that was handled, 0 when not; a negative errno when the connection is lost: then every job
 * and request has had its last callback, and each further call returns the same. -EDEADLK from a
 * callback. Output that came is handed out in bounded portions: 1 means call again, after looking
 * after other fds. */
SANDBOX_API int sandbox_client_process(sandbox_client *c);
/* Polls that one socket, for loops that have nothing else: 1 when process() has something to do, 0
 * when timeout_usec has passed. EINTR is -EINTR. While output waits to be consumed that more is not
 * read of, nothing but the timeout ends it, not even the end of the connection. */
SANDBOX_API int sandbox_client_wait(sandbox_client *c, uint64_t timeout_usec);
/* Bytes that wait to be sent. */
SANDBOX_API size_t sandbox_client_get_queued(const sandbox_client *c);

/* ---- What to run ----------------------------------------------------------------------------- */

/* An empty spec: a command, in the socket's profile, with its default limits and empty stdin. One
 * spec can start any number of jobs, on any client. Functions that fill it return 0, -ENOMEM, or what
 * is said. */
SANDBOX_API int sandbox_spec_new(sandbox_spec **ret);
SANDBOX_API sandbox_spec *sandbox_spec_free(sandbox_spec *s);

/* A name or alias that sandbox_list_runtimes() lists; NULL or "": a command. */
SANDBOX_API int sandbox_spec_set_runtime(sandbox_spec *s, const char *runtime);
/* The program, for a runtime with code. Any bytes; copied. */
SANDBOX_API int sandbox_spec_set_code(sandbox_spec *s, const void *code, size_t size);
/* The command with its arguments, or the arguments of the code. argv ends with NULL. Replaces what
 * was there. */
SANDBOX_API int sandbox_spec_set_argv(sandbox_spec *s, const char *const *argv);
SANDBOX_API int sandbox_spec_add_arg(sandbox_spec *s, const char *arg);
/* "KEY=VALUE"; of two with one key the later counts. */
SANDBOX_API int sandbox_spec_add_env(sandbox_spec *s, const char *assignment);
/* Absolute, or relative to /box, which is the default. */
SANDBOX_API int sandbox_spec_set_workdir(sandbox_spec *s, const char *workdir);
/* A name that sandbox_list_profiles() lists; NULL or "": the socket's. */
SANDBOX_API int sandbox_spec_set_profile(sandbox_spec *s, const char *profile);
/* Kept with the job, at most 256 bytes (the daemon checks). */
SANDBOX_API int sandbox_spec_set_label(sandbox_spec *s, const char *label);

enum sandbox_limit {
        SANDBOX_LIMIT_WALL_TIME = 0, /* usec */
        SANDBOX_LIMIT_CPU_TIME = 1,  /* usec; 0: none, where the profile allows it */
        SANDBOX_LIMIT_MEMORY = 2,    /* bytes, files in /tmp and /box among them */
        SANDBOX_LIMIT_CPU_QUOTA = 3, /* percent of one CPU */
        SANDBOX_LIMIT_PIDS = 4,      /* processes and threads */
        SANDBOX_LIMIT_OUTPUT = 5,    /* bytes kept of stdout, and of stderr */
        SANDBOX_LIMIT_TMP_SIZE = 6   /* bytes in each of /tmp, /box and /dev/shm */
};

/* One that is not set is the profile's default. -EINVAL for a number that is no limit. */
SANDBOX_API int sandbox_spec_set_limit(sandbox_spec *s, enum sandbox_limit limit, uint64_t value);
/* By its name in sandbox_profile_list_get_limit(), for limits that this header does not know yet. */
SANDBOX_API int sandbox_spec_set_limit_by_name(sandbox_spec *s, const char *name, uint64_t value);
/* "memory_bytes"; NULL for a number that is no limit. */
SANDBOX_API const char *sandbox_limit_name(enum sandbox_limit limit);

/* End the job as OUTPUT_LIMIT when it writes more than SANDBOX_LIMIT_OUTPUT at all. */
SANDBOX_API void sandbox_spec_set_strict_output(sandbox_spec *s, int on);
/* The job outlives the connection: its output and files are kept by the daemon for a while and got by
 * its id. Not with stdin, nor with fds passed. */
SANDBOX_API void sandbox_spec_set_detach(sandbox_spec *s, int on);

/* Files for the job. name is relative to /box; folders are made. mode has permission bits; 0 means
 * 0644, or for the next two functions the mode of the file there. Nothing is checked of the name but
 * by the daemon. */
/* The bytes themselves; copied. */
SANDBOX_API int sandbox_spec_add_file_data(sandbox_spec *s, const char *name, unsigned mode,
        const void *data, size_t size);
/* A regular file; its name is kept, and it is opened anew and read in pieces by each job that is
 * started. It must not become shorter meanwhile (the job then ends with -ESTALE). An errno of
 * open(2); -EISDIR for a folder, -EINVAL when it is neither. */
SANDBOX_API int sandbox_spec_add_file_path(sandbox_spec *s, const char *name, unsigned mode,
        const char *path);
/* A regular file or memfd that is open for reading; duplicated here. Read with pread(2) from the
 * beginning, its offset stays. -EINVAL when it is neither. */
SANDBOX_API int sandbox_spec_add_file_fd(sandbox_spec *s, const char *name, unsigned mode, int fd);
/* A folder with all that is in it, or a regular file; name is its name in /box, "" puts what is in
 * the folder into /box itself. Modes are kept. A symbolic link to a file travels as that file; one to
 * a folder, and whatever is neither file nor folder, is -EINVAL. An empty folder does not travel. */
SANDBOX_API int sandbox_spec_add_tree(sandbox_spec *s, const char *name, const char *path);

/* A name or pattern ('*', '?', '[...]') beneath /box that is fetched when the job has ended; folders
 * with all that is in them. The files come by on_file, into the folder that
 * sandbox_spec_set_fetch_dir() names, or of a detached job by sandbox_get_files(). */
SANDBOX_API int sandbox_spec_add_get(sandbox_spec *s, const char *pattern);
/* Where files that are fetched are written by the library itself, unless there is an on_file: as
 * sandbox_fetch_new() says. The folder must exist. An errno of open(2). */
SANDBOX_API int sandbox_spec_set_fetch_dir(sandbox_spec *s, const char *path);

/* The job's stdin: these bytes (copied) and then its end. */
SANDBOX_API int sandbox_spec_set_stdin_data(sandbox_spec *s, const void *data, size_t size);
/* The job's stdin: what sandbox_job_send_stdin() sends, until sandbox_job_close_stdin(). Not for the
 * blocking sandbox_run(). on: 0 takes it back. */
SANDBOX_API void sandbox_spec_set_stdin_stream(sandbox_spec *s, int on);

/* The streams of a job, and the files that are fetched of it. */
enum sandbox_stream {
        SANDBOX_STDIN = 0,
        SANDBOX_STDOUT = 1,
        SANDBOX_STDERR = 2,
        SANDBOX_FILES = 3,
        SANDBOX_BOTH = -1 /* of sandbox_read_output(): stdout and stderr as they were read */
};

/* Has a stream go over a socket of its own instead of the connection: faster for many bytes, and flow
 * control is the socket's. The daemon makes it; once the job has started, sandbox_job_take_fd() hands over
 * its end. on_output is not called for such a stream, and sandbox_job_send_stdin() is not for it. Not for a
 * detached job, nor the blocking sandbox_run(), which is -EINVAL. on: 0 takes it back. Needs the daemon's
 * feature "stream-sockets", else starting is -EOPNOTSUPP. -EINVAL for another stream than stdin, stdout and
 * stderr. */
SANDBOX_API int sandbox_spec_set_stream_socket(sandbox_spec *s, enum sandbox_stream stream, int on);

/* How many bytes of each stream may be under way and not consumed: SANDBOX_CREDIT_DEFAULT unless set.
 * Of a job whose output is not consumed the daemon reads no more, without holding up the other jobs
 * on the connection. -EINVAL for 0. */
SANDBOX_API int sandbox_spec_set_credit(sandbox_spec *s, uint64_t bytes);

/* ---- The simple case ------------------------------------------------------------------------- */

/* Runs a job and waits for its end; its output is collected and is in the result, as much of it as
 * the job's output limit lets through. Other jobs and requests on the client go on meanwhile. When
 * timeout_usec passes the job is cancelled: -ETIMEDOUT. A job that failed, whatever way, is a result
 * and no error: sandbox_result_get_status(). ret: freed with sandbox_result_unref(). Of a spec with
 * detach: -EINVAL, see sandbox_run_detached(). */
SANDBOX_API int sandbox_run(sandbox_client *c, const sandbox_spec *s, uint64_t timeout_usec,
        sandbox_result **ret);
/* Starts a job that outlives the connection, and waits until it was started or queued; job_id is what
 * all else takes. The spec counts as one with detach. When timeout_usec passes before, the job is
 * cancelled: -ETIMEDOUT. */
SANDBOX_API int sandbox_run_detached(sandbox_client *c, const sandbox_spec *s,
        uint64_t timeout_usec, char job_id[SANDBOX_JOB_ID_SIZE]);

/* ---- Jobs on this connection ----------------------------------------------------------------- */

enum sandbox_file_kind {
        SANDBOX_FILE_REGULAR = 1,
        SANDBOX_FILE_FOLDER = 2, /* before what is in it */
        SANDBOX_FILE_FAILED = 3  /* nothing of it comes, or nothing more */
};

/* A piece of a file on its way to us. The pieces of one file follow each other. Made by the library
 * alone; may grow at its end. */
typedef struct sandbox_file_piece {
        enum sandbox_file_kind kind;
        int last;         /* the file's last piece: it is complete, or failed */
        const char *name; /* relative to /box; of SANDBOX_FILE_FAILED perhaps the pattern asked for.
                             * The job chose it: see sandbox_fetch_new() for writing it safely */
        unsigned mode;    /* permission bits */
        uint64_t size;    /* of the whole file */
        uint64_t offset;  /* of data in it */
        const void *data;
        size_t data_size;  /* may be 0 */
        const char *error; /* of SANDBOX_FILE_FAILED: one sentence; else NULL */
} sandbox_file_piece;

/* What is called as a job goes on; each may be NULL. In a callback every function may be called but
 * those that say otherwise and those that wait (-EDEADLK). */
typedef struct sandbox_job_handlers {
        size_t size; /* sizeof(sandbox_job_handlers) */
        /* It waits for others to end: position from 1 on, among those of its user. */
        void (*on_queued)(sandbox_job *job, unsigned position, void *userdata);
        /* It runs: sandbox_job_get_id() and the like are there. */
        void (*on_started)(sandbox_job *job, void *userdata);
        void (*on_output)(sandbox_job *job, enum sandbox_stream stream, const void *data,
                size_t size, void *userdata);
        void (*on_file)(sandbox_job *job, const sandbox_file_piece *piece, void *userdata);
        /* sandbox_job_send_stdin() takes bytes, for the first time or again; or the job has closed
         * its stdin, and it returns -EPIPE. */
        void (*on_stdin_ready)(sandbox_job *job, void *userdata);
        /* Always the last, once. With error there is no result: it was refused, or the connection
         * lost. Without, result is how the job ended; of a detached job it is NULL, and the job is
         * just started. job is freed when this returns. */
        void (*on_end)(sandbox_job *job, const sandbox_error *error, sandbox_result *result,
                void *userdata);
} sandbox_job_handlers;

/* Output, or files, are not consumed when on_output or on_file returns, but by sandbox_job_consume()
 * or sandbox_request_consume(). */
#define SANDBOX_MANUAL_CREDIT (1U << 0)
/* sandbox_read_output(): go on until the job has ended. */
#define SANDBOX_FOLLOW (1U << 1)

/* Sends a job on its way and returns; the spec may be changed or freed after it. handlers is copied
 * and may be NULL. flags: 0 or SANDBOX_MANUAL_CREDIT. ret (may be NULL) belongs to the client and is
 * freed after on_end. -EINVAL with the field, -EMSGSIZE for what does not fit one request, an errno
 * of a file, -EOPNOTSUPP, -ENOTCONN: on_end is not called then. */
SANDBOX_API int sandbox_job_start(sandbox_client *c, const sandbox_spec *s,
        const sandbox_job_handlers *handlers, void *userdata, unsigned flags, sandbox_job **ret);

/* Sends bytes to the job's stdin: as many as the job has room for are copied and counted in the
 * return value, which may be 0: on_stdin_ready comes when there is room again. -EPIPE when the job or
 * sandbox_job_close_stdin() has closed it, -EINVAL when the spec has no stdin stream. */
SANDBOX_API ssize_t sandbox_job_send_stdin(sandbox_job *job, const void *data, size_t size);
/* How many bytes sandbox_job_send_stdin() would take now. */
SANDBOX_API size_t sandbox_job_get_stdin_room(const sandbox_job *job);
/* The job reads the end of its stdin after what was sent. Any number of times. */
SANDBOX_API int sandbox_job_close_stdin(sandbox_job *job);
/* With SANDBOX_MANUAL_CREDIT: that many bytes of that stream (or SANDBOX_FILES) are done with, and as
 * many may come again. -EINVAL for more than came. */
SANDBOX_API int sandbox_job_consume(sandbox_job *job, enum sandbox_stream stream, uint64_t bytes);
/* Hands over the socket of a stream that the spec has one for: in on_started or later, until on_end
 * returns. An AF_UNIX stream socket, close-on-exec and non-blocking (F_SETFL changes that for the caller
 * alone), and the caller's to close. stdin: what is written there the job reads; closing it, or
 * shutdown(2) for writing, is the job's end of file, and EPIPE or ECONNRESET says that the job has closed
 * its own; SIGPIPE is the caller's to avoid, by MSG_NOSIGNAL. stdout and stderr: read to the end of file;
 * who closes before has the job get SIGPIPE. The result does not come before all output is in the socket,
 * so read it, or cancel the job. Sockets that nobody takes are closed after on_end. Returns the fd,
 * -EAGAIN before the job has started, or -ENOENT where there is none (any more). */
SANDBOX_API int sandbox_job_take_fd(sandbox_job *job, enum sandbox_stream stream);
/* Asks for its end; on_end comes with the result CANCELLED, or what ended it just before. */
SANDBOX_API int sandbox_job_cancel(sandbox_job *job);
/* The same, and no callback is called any more: job may not be used again. */
SANDBOX_API void sandbox_job_abandon(sandbox_job *job);

/* 16 hex digits; NULL before it was started or queued. */
SANDBOX_API const char *sandbox_job_get_id(const sandbox_job *job);
/* As the daemon understood them; NULL before it was started. */
SANDBOX_API const char *sandbox_job_get_runtime(const sandbox_job *job);
SANDBOX_API const char *sandbox_job_get_profile(const sandbox_job *job);
/* How many bytes of its files were sent, and how many there are. */
SANDBOX_API void sandbox_job_get_upload(const sandbox_job *job, uint64_t *ret_sent,
        uint64_t *ret_size);
/* Whether a detached job goes on when its client leaves: it was started, or is queued and the daemon is
 * known to have all its files. 0 for any other: leaving would cancel it. Ask in on_queued. */
SANDBOX_API int sandbox_job_may_be_left(const sandbox_job *job);
SANDBOX_API void *sandbox_job_get_userdata(const sandbox_job *job);
SANDBOX_API sandbox_client *sandbox_job_get_client(const sandbox_job *job);

/* ---- How a job ended ------------------------------------------------------------------------- */

enum sandbox_status {
        SANDBOX_STATUS_OK = 1,           /* exited 0 */
        SANDBOX_STATUS_EXITED = 2,       /* exited non-zero */
        SANDBOX_STATUS_SIGNALED = 3,     /* died of a signal of its own */
        SANDBOX_STATUS_TIMEOUT = 4,      /* wall-clock limit */
        SANDBOX_STATUS_CPU_LIMIT = 5,    /* CPU-time limit */
        SANDBOX_STATUS_MEMORY_LIMIT = 6, /* the kernel's OOM killer */
        SANDBOX_STATUS_OUTPUT_LIMIT =
                7,                    /* wrote far over its limit, or at all with strict output */
        SANDBOX_STATUS_VIOLATION = 8, /* killed by the system-call filter */
        SANDBOX_STATUS_CANCELLED = 9,
        SANDBOX_STATUS_SETUP_ERROR = 10 /* see step and error */
};

/* "TIMEOUT"; "UNKNOWN" for a number that is none. */
SANDBOX_API const char *sandbox_status_name(int status);

typedef struct sandbox_usage {
        uint64_t wall_usec;
        uint64_t cpu_user_usec;
        uint64_t cpu_system_usec;
        uint64_t memory_peak_bytes; /* of a job that runs, this and the next are what it has now */
        uint64_t pids_peak;
        uint64_t reserved[3];
} sandbox_usage;

SANDBOX_API sandbox_result *sandbox_result_ref(sandbox_result *r);
SANDBOX_API sandbox_result *sandbox_result_unref(sandbox_result *r);

SANDBOX_API const char *sandbox_result_get_job_id(const sandbox_result *r);
/* One of enum sandbox_status, or a number that a newer daemon has. */
SANDBOX_API int sandbox_result_get_status(const sandbox_result *r);
SANDBOX_API int sandbox_result_get_exit_code(const sandbox_result *r);
SANDBOX_API int sandbox_result_get_signal(const sandbox_result *r); /* 0: none */
/* What `sandboxctl run` exits with: the job's own code, 124 for TIMEOUT and so on. */
SANDBOX_API int sandbox_result_get_shell_code(const sandbox_result *r);
/* One sentence for a person; "" for OK. */
SANDBOX_API const char *sandbox_result_get_message(const sandbox_result *r);
/* Of SETUP_ERROR: where the making of the sandbox failed ("" else), and the errno, positive. */
SANDBOX_API const char *sandbox_result_get_step(const sandbox_result *r);
SANDBOX_API int sandbox_result_get_error(const sandbox_result *r);
/* What sandbox_run() collected; also a NUL after it, not counted. NULL and 0 for a result that came
 * any other way. Any bytes. */
SANDBOX_API const char *sandbox_result_get_stdout(const sandbox_result *r, size_t *ret_size);
SANDBOX_API const char *sandbox_result_get_stderr(const sandbox_result *r, size_t *ret_size);
/* Written by the job, kept or not. */
SANDBOX_API uint64_t sandbox_result_get_stdout_bytes(const sandbox_result *r);
SANDBOX_API uint64_t sandbox_result_get_stderr_bytes(const sandbox_result *r);
/* Limits that it ran into without ending by them: 1 or 0. */
SANDBOX_API int sandbox_result_get_stdout_truncated(const sandbox_result *r);
SANDBOX_API int sandbox_result_get_stderr_truncated(const sandbox_result *r);
SANDBOX_API int sandbox_result_get_pids_limit_hit(const sandbox_result *r);
SANDBOX_API int sandbox_result_get_cpu_throttled(const sandbox_result *r);
/* Whether there is a return value; then as the language shows it, and as JSON (of size 0 when the
 * value has none). Written by the job: any bytes, not NUL-terminated; check the JSON. */
SANDBOX_API int sandbox_result_has_return_value(const sandbox_result *r);
SANDBOX_API const void *sandbox_result_get_return_text(const sandbox_result *r, size_t *ret_size);
SANDBOX_API const void *sandbox_result_get_return_json(const sandbox_result *r, size_t *ret_size);
/* 1 with *ret set, 0 when nothing was measured (and *ret all zero). */
SANDBOX_API int sandbox_result_get_usage(const sandbox_result *r, sandbox_usage *ret);
SANDBOX_API uint64_t sandbox_result_get_queued_usec(const sandbox_result *r);
SANDBOX_API uint64_t sandbox_result_get_setup_usec(const sandbox_result *r);
SANDBOX_API int sandbox_result_get_warm(const sandbox_result *r);
SANDBOX_API const char *sandbox_result_get_runtime(const sandbox_result *r);
SANDBOX_API const char *sandbox_result_get_profile(const sandbox_result *r);
SANDBOX_API const char *sandbox_result_get_label(const sandbox_result *r);
SANDBOX_API uint64_t sandbox_result_get_started_at_usec(const sandbox_result *r);
SANDBOX_API uint64_t sandbox_result_get_ended_at_usec(const sandbox_result *r);
/* How many files and folders the daemon fetched. */
SANDBOX_API unsigned sandbox_result_get_files(const sandbox_result *r);
/* Files that were to be written by sandbox_spec_set_fetch_dir() and were not, by index: the name, and
 * the reason in *ret_reason (one sentence; ret_reason may be NULL). NULL after the last. */
SANDBOX_API const char *sandbox_result_get_failed_file(const sandbox_result *r, size_t index,
        const char **ret_reason);

/* ---- Jobs by their id ------------------------------------------------------------------------ */

/*
 * Each request in two forms: a blocking one, and one that ends in _async with a callback. job_id is
 * 16 hex digits; jobs of others are -ESRCH as those that are not there (root sees all).
 *
 * Blocking: other jobs and requests on the client go on meanwhile. -EDEADLK from a callback.
 * Async: ret (may be NULL) belongs to the client and is freed when the last callback has returned.
 *   The function fails only when nothing could be sent: then no callback is called. In a callback
 *   error is NULL on success, and else the only thing that is set.
 */

/* Ends a request without its callbacks: it may not be used again. Not for a job, and from a callback
 * only of another request, or of sandbox_watch_jobs_async(). What it asked for may have been done. */
SANDBOX_API void sandbox_request_abandon(sandbox_request *q);
/* As sandbox_job_consume(), for sandbox_read_output_async() and sandbox_get_files_async(). */
SANDBOX_API int sandbox_request_consume(sandbox_request *q, enum sandbox_stream stream,
        uint64_t bytes);

/* A request that was done, or refused. */
typedef void (*sandbox_done_handler)(sandbox_client *c, const sandbox_error *error, void *userdata);

enum sandbox_job_state {
        SANDBOX_JOB_RECEIVING = 1, /* its files are on their way */
        SANDBOX_JOB_QUEUED = 2,    /* it waits for others to end */
        SANDBOX_JOB_RUNNING = 3,   /* being set up, or running */
        SANDBOX_JOB_FINISHED = 4   /* its result is kept */
};

/* "running"; "unknown" for a number that is none. */
SANDBOX_API const char *sandbox_job_state_name(int state);

SANDBOX_API sandbox_job_info *sandbox_job_info_ref(sandbox_job_info *i);
SANDBOX_API sandbox_job_info *sandbox_job_info_unref(sandbox_job_info *i);
SANDBOX_API const char *sandbox_job_info_get_id(const sandbox_job_info *i);
SANDBOX_API uid_t sandbox_job_info_get_owner(const sandbox_job_info *i);
SANDBOX_API int sandbox_job_info_get_state(const sandbox_job_info *i);
SANDBOX_API const char *sandbox_job_info_get_runtime(const sandbox_job_info *i);
SANDBOX_API const char *sandbox_job_info_get_profile(const sandbox_job_info *i);
SANDBOX_API const char *sandbox_job_info_get_label(const sandbox_job_info *i);
SANDBOX_API int sandbox_job_info_get_detached(const sandbox_job_info *i);
SANDBOX_API uint64_t sandbox_job_info_get_created_at_usec(const sandbox_job_info *i);
SANDBOX_API uint64_t sandbox_job_info_get_started_at_usec(
        const sandbox_job_info *i);                                                 /* 0: not yet */
SANDBOX_API uint64_t sandbox_job_info_get_ended_at_usec(const sandbox_job_info *i); /* 0: not yet */
/* Written so far. */
SANDBOX_API uint64_t sandbox_job_info_get_stdout_bytes(const sandbox_job_info *i);
SANDBOX_API uint64_t sandbox_job_info_get_stderr_bytes(const sandbox_job_info *i);
/* Names its scope, sandbox-ID.scope, or where the daemon runs without systemd its cgroups: the job's own id, unless
 * the sandbox was made ahead of time. "" while that is not made, and of a daemon that does not tell. */
SANDBOX_API const char *sandbox_job_info_get_sandbox_id(const sandbox_job_info *i);
/* So far, of one that runs and was asked for by sandbox_get_job(): 1 with *ret set; else 0. */
SANDBOX_API int sandbox_job_info_get_usage(const sandbox_job_info *i, sandbox_usage *ret);
/* Of one that is finished; else NULL. Lives as long as the info unless it is ref'd. In a list the
 * return value is left out. */
SANDBOX_API sandbox_result *sandbox_job_info_get_result(const sandbox_job_info *i);
/* The limits in force, by index, where sandbox_get_job() was asked: the name, "memory_bytes", and the
 * value; NULL after the last. */
SANDBOX_API const char *sandbox_job_info_get_limit(const sandbox_job_info *i, size_t index,
        uint64_t *ret_value);

SANDBOX_API sandbox_job_list *sandbox_job_list_ref(sandbox_job_list *l);
SANDBOX_API sandbox_job_list *sandbox_job_list_unref(sandbox_job_list *l);
/* Oldest first; NULL after the last. */
SANDBOX_API sandbox_job_info *sandbox_job_list_get(const sandbox_job_list *l, size_t index);

/* all: finished ones too, as long as their results are kept. */
SANDBOX_API int sandbox_list_jobs(sandbox_client *c, int all, sandbox_job_list **ret);
typedef void (*sandbox_job_list_handler)(sandbox_client *c, const sandbox_error *error,
        sandbox_job_list *list, void *userdata);
SANDBOX_API int sandbox_list_jobs_async(sandbox_client *c, int all,
        sandbox_job_list_handler handler, void *userdata, sandbox_request **ret);

SANDBOX_API int sandbox_get_job(sandbox_client *c, const char *job_id, sandbox_job_info **ret);
typedef void (*sandbox_job_info_handler)(sandbox_client *c, const sandbox_error *error,
        sandbox_job_info *info, void *userdata);
SANDBOX_API int sandbox_get_job_async(sandbox_client *c, const char *job_id,
        sandbox_job_info_handler handler, void *userdata, sandbox_request **ret);

/* Waits for the end of a job. -ETIMEDOUT when it has not come: the job goes on. */
SANDBOX_API int sandbox_wait_job(sandbox_client *c, const char *job_id, uint64_t timeout_usec,
        sandbox_result **ret);
typedef void (*sandbox_result_handler)(sandbox_client *c, const sandbox_error *error,
        sandbox_result *result, void *userdata);
SANDBOX_API int sandbox_wait_job_async(sandbox_client *c, const char *job_id,
        sandbox_result_handler handler, void *userdata, sandbox_request **ret);

enum sandbox_job_event_kind {
        SANDBOX_JOB_EVENT_ADDED = 1,   /* job */
        SANDBOX_JOB_EVENT_CHANGED = 2, /* job: its state is another one */
        SANDBOX_JOB_EVENT_REMOVED = 3, /* job, its id alone: nothing of it is kept any more */
        SANDBOX_JOB_EVENT_CURRENT = 4, /* all that there was has been told */
        SANDBOX_JOB_EVENT_HOST = 5     /* host: whether jobs are taken is another */
};

/* kind may be a number that this header has no name for. What does not go with it is NULL. */
typedef void (*sandbox_job_event_handler)(sandbox_client *c, const sandbox_error *error, int kind,
        sandbox_job_info *job, sandbox_host *host, void *userdata);
/* Tells of all jobs that the user may see, root of everybody's: first of each there is as ADDED, HOST
 * once and CURRENT, then of what happens. Goes on until sandbox_request_abandon(), from handler too, or
 * a call with an error, which is the last one. Of a client that was long without sandbox_client_process() all
 * that became of a job meanwhile is one event, or two when it is a REMOVED. */
SANDBOX_API int sandbox_watch_jobs_async(sandbox_client *c, sandbox_job_event_handler handler,
        void *userdata, sandbox_request **ret);

/* Ends a job as CANCELLED; of one that has ended nothing changes. */
SANDBOX_API int sandbox_cancel_job(sandbox_client *c, const char *job_id);
SANDBOX_API int sandbox_cancel_job_async(sandbox_client *c, const char *job_id,
        sandbox_done_handler handler, void *userdata, sandbox_request **ret);
/* Sends a signal, 1 to 64, to the job's main process. -ECHILD when it does not run. */
SANDBOX_API int sandbox_signal_job(sandbox_client *c, const char *job_id, int signal);
SANDBOX_API int sandbox_signal_job_async(sandbox_client *c, const char *job_id, int signal,
        sandbox_done_handler handler, void *userdata, sandbox_request **ret);

/* ---- Kept output ----------------------------------------------------------------------------- */

/* Made by the library alone; may grow at its end where it is handed to a callback. */
typedef struct sandbox_output_end {
        uint64_t stdout_bytes; /* written by the job so far */
        uint64_t stderr_bytes;
        uint64_t stdout_kept; /* of these, from the beginning, kept */
        uint64_t stderr_kept;
        int running; /* more may come: the job has not ended */
        int reserved[5];
} sandbox_output_end;

/* Returns 0 to go on; a negative errno ends the request with it. q is NULL in the blocking form. */
typedef int (*sandbox_output_handler)(sandbox_request *q, enum sandbox_stream stream,
        const void *data, size_t size, void *userdata);
typedef void (*sandbox_output_end_handler)(sandbox_client *c, const sandbox_error *error,
        const sandbox_output_end *end, void *userdata);

/* Reads what is kept of a job's output, offset bytes of each stream left out, and with SANDBOX_FOLLOW
 * what still comes, until it has ended. stream: SANDBOX_STDOUT, SANDBOX_STDERR or SANDBOX_BOTH. The
 * handler is called with each piece and may take its time. ret_end may be NULL. No timeout but that
 * of the connection, and none with SANDBOX_FOLLOW. */
SANDBOX_API int sandbox_read_output(sandbox_client *c, const char *job_id,
        enum sandbox_stream stream, uint64_t offset, unsigned flags,
        sandbox_output_handler on_output, void *userdata, sandbox_output_end *ret_end);
/* flags: also SANDBOX_MANUAL_CREDIT. on_end is the last callback. */
SANDBOX_API int sandbox_read_output_async(sandbox_client *c, const char *job_id,
        enum sandbox_stream stream, uint64_t offset, unsigned flags,
        sandbox_output_handler on_output, sandbox_output_end_handler on_end, void *userdata,
        sandbox_request **ret);

/* ---- Files that a job made ------------------------------------------------------------------- */

/* As sandbox_output_handler. */
typedef int (
        *sandbox_file_handler)(sandbox_request *q, const sandbox_file_piece *piece, void *userdata);

/* The files that were fetched of a detached job when it ended. names: names and patterns, ends with
 * NULL; NULL: all. Files that failed are pieces of their own, and no error. */
SANDBOX_API int sandbox_get_files(sandbox_client *c, const char *job_id, const char *const *names,
        sandbox_file_handler on_file, void *userdata);
/* flags: 0 or SANDBOX_MANUAL_CREDIT. */
SANDBOX_API int sandbox_get_files_async(sandbox_client *c, const char *job_id,
        const char *const *names, unsigned flags, sandbox_file_handler on_file,
        sandbox_done_handler on_end, void *userdata, sandbox_request **ret);

/* Writes pieces of files beneath a folder, safely whatever names the job chose: nothing is written
 * through a symbolic link, nor above the folder; a name that is absolute or has an empty, "." or ".."
 * part fails. Folders are made. A regular file of that name is replaced once the new one is complete;
 * anything else of that name makes it fail. Of the mode only permission bits are set, no set-uid,
 * set-gid or sticky one. */
typedef struct sandbox_fetch sandbox_fetch;
/* dir_fd: an open folder, or AT_FDCWD; duplicated. */
SANDBOX_API int sandbox_fetch_new(int dir_fd, sandbox_fetch **ret);
/* What is not complete is removed. */
SANDBOX_API sandbox_fetch *sandbox_fetch_free(sandbox_fetch *f);
/* Takes a piece, and blocks as long as write(2) does. A file that cannot be written, or that came as
 * SANDBOX_FILE_FAILED, is only noted, and the rest of it left out; -ENOMEM is the one error. */
SANDBOX_API int sandbox_fetch_put(sandbox_fetch *f, const sandbox_file_piece *piece);
/* How many files were written in whole, folders not counted, and their bytes. */
SANDBOX_API uint64_t sandbox_fetch_get_files(const sandbox_fetch *f);
SANDBOX_API uint64_t sandbox_fetch_get_bytes(const sandbox_fetch *f);
/* Those that failed, as sandbox_result_get_failed_file(). */
SANDBOX_API const char *sandbox_fetch_get_failed(const sandbox_fetch *f, size_t index,
        const char **ret_reason);

/* sandbox_get_files() into a folder. ret, freed with sandbox_fetch_free(), says what came of it; NULL
 * when that does not matter. */
SANDBOX_API int sandbox_fetch_to_dir(sandbox_client *c, const char *job_id,
        const char *const *names, int dir_fd, sandbox_fetch **ret);

/* ---- What there is --------------------------------------------------------------------------- */

SANDBOX_API int sandbox_list_runtimes(sandbox_client *c, sandbox_runtime_list **ret);
typedef void (*sandbox_runtime_list_handler)(sandbox_client *c, const sandbox_error *error,
        sandbox_runtime_list *list, void *userdata);
SANDBOX_API int sandbox_list_runtimes_async(sandbox_client *c, sandbox_runtime_list_handler handler,
        void *userdata, sandbox_request **ret);
SANDBOX_API sandbox_runtime_list *sandbox_runtime_list_ref(sandbox_runtime_list *l);
SANDBOX_API sandbox_runtime_list *sandbox_runtime_list_unref(sandbox_runtime_list *l);
SANDBOX_API size_t sandbox_runtime_list_get_count(const sandbox_runtime_list *l);
/* index is below the count, else NULL and 0. */
SANDBOX_API const char *sandbox_runtime_list_get_name(const sandbox_runtime_list *l, size_t index);
SANDBOX_API const char *sandbox_runtime_list_get_description(const sandbox_runtime_list *l,
        size_t index);
/* By alias; NULL after the last. */
SANDBOX_API const char *sandbox_runtime_list_get_alias(const sandbox_runtime_list *l, size_t index,
        size_t alias);
SANDBOX_API int sandbox_runtime_list_get_available(const sandbox_runtime_list *l, size_t index);
SANDBOX_API const char *sandbox_runtime_list_get_interpreter(const sandbox_runtime_list *l,
        size_t index);
/* To install when it is not available. */
SANDBOX_API const char *sandbox_runtime_list_get_package(const sandbox_runtime_list *l,
        size_t index);
SANDBOX_API int sandbox_runtime_list_get_returns_value(const sandbox_runtime_list *l, size_t index);
/* Of the code in /box; "" for the command runtime. */
SANDBOX_API const char *sandbox_runtime_list_get_file_name(const sandbox_runtime_list *l,
        size_t index);

SANDBOX_API int sandbox_list_profiles(sandbox_client *c, sandbox_profile_list **ret);
typedef void (*sandbox_profile_list_handler)(sandbox_client *c, const sandbox_error *error,
        sandbox_profile_list *list, void *userdata);
SANDBOX_API int sandbox_list_profiles_async(sandbox_client *c, sandbox_profile_list_handler handler,
        void *userdata, sandbox_request **ret);
SANDBOX_API sandbox_profile_list *sandbox_profile_list_ref(sandbox_profile_list *l);
SANDBOX_API sandbox_profile_list *sandbox_profile_list_unref(sandbox_profile_list *l);
SANDBOX_API size_t sandbox_profile_list_get_count(const sandbox_profile_list *l);
SANDBOX_API const char *sandbox_profile_list_get_name(const sandbox_profile_list *l, size_t index);
SANDBOX_API const char *sandbox_profile_list_get_description(const sandbox_profile_list *l,
        size_t index);
/* By limit: the name, "memory_bytes", its default, and the most that may be asked for (0: no
 * maximum); NULL after the last. */
SANDBOX_API const char *sandbox_profile_list_get_limit(const sandbox_profile_list *l, size_t index,
        size_t limit, uint64_t *ret_default, uint64_t *ret_maximum);

SANDBOX_API int sandbox_get_host(sandbox_client *c, sandbox_host **ret);
typedef void (*sandbox_host_handler)(sandbox_client *c, const sandbox_error *error,
        sandbox_host *host, void *userdata);
SANDBOX_API int sandbox_get_host_async(sandbox_client *c, sandbox_host_handler handler,
        void *userdata, sandbox_request **ret);
SANDBOX_API sandbox_host *sandbox_host_ref(sandbox_host *h);
SANDBOX_API sandbox_host *sandbox_host_unref(sandbox_host *h);
/* How sandboxes get their cgroups: "cgroupfs (hybrid)". */
SANDBOX_API const char *sandbox_host_get_driver(const sandbox_host *h);
/* Controllers that are missing and allowed to be, by index; NULL after the last. */
SANDBOX_API const char *sandbox_host_get_missing(const sandbox_host *h, size_t index);
SANDBOX_API pid_t sandbox_host_get_pid(const sandbox_host *h); /* of the daemon */
SANDBOX_API unsigned sandbox_host_get_running_jobs(const sandbox_host *h);
SANDBOX_API unsigned sandbox_host_get_queued_jobs(const sandbox_host *h);
SANDBOX_API int sandbox_host_get_draining(const sandbox_host *h);
SANDBOX_API unsigned sandbox_host_get_kept_results(const sandbox_host *h);
SANDBOX_API uint64_t sandbox_host_get_kept_bytes(const sandbox_host *h);
/* Sandboxes that may wait for a job; 0: none are made ahead of time. */
SANDBOX_API unsigned sandbox_host_get_parked_max(const sandbox_host *h);
/* Jobs that such a sandbox took, and those that one could have taken, had there been one. */
SANDBOX_API uint64_t sandbox_host_get_warm_jobs(const sandbox_host *h);
SANDBOX_API uint64_t sandbox_host_get_missed_jobs(const sandbox_host *h);

/* ---- For root -------------------------------------------------------------------------------- */

/* No new job is taken (SANDBOX_ERROR_DRAINING); what runs or waits goes on. */
SANDBOX_API int sandbox_drain(sandbox_client *c);
SANDBOX_API int sandbox_drain_async(sandbox_client *c, sandbox_done_handler handler, void *userdata,
        sandbox_request **ret);
/* Jobs are taken again. */
SANDBOX_API int sandbox_resume(sandbox_client *c);
SANDBOX_API int sandbox_resume_async(sandbox_client *c, sandbox_done_handler handler,
        void *userdata, sandbox_request **ret);
/* Cancels every job, of every user. */
SANDBOX_API int sandbox_stop_all(sandbox_client *c);
SANDBOX_API int sandbox_stop_all_async(sandbox_client *c, sandbox_done_handler handler,
        void *userdata, sandbox_request **ret);

#ifdef __cplusplus
}
#endif

#endif
