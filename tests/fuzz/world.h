/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A frontend in this process, with all that is around it: clients of several users, and the monitor at
 * the other end of its channel with the job's ends of the pipes. An input is a program of what they do.
 */

#include "daemon/frontend/frontend.h"
#include "daemon/frontend/queue.h"
#include "daemon/frontend/result.h"
#include "proto/frame.h"
#include "proto/sandboxd.pb-c.h"
#include "tests/fuzz/input.h"

#define WORLD_CLIENTS 4
#define WORLD_SANDBOXES 16
#define WORLD_IDS 8 /* of requests: 0, which is none, to 7 */
#define WORLD_JOBS 8
#define WORLD_SOCKETS 8
#define WORLD_POLICIES 2
#define WORLD_FRAME_MAX (64 * KIB)
#define WORLD_BUS 1002 /* the bus service's user */

/* What the client has asked for by one id, and been told; the answers of some requests go on until a last
 * one comes. */
struct world_request {
        unsigned asked;
        unsigned ended;
        bool vague; /* what follows cannot be told from here */
};

struct world_client {
        int fd;
        bool reads;   /* takes what comes, after each step */
        bool wild;    /* has sent bytes of which is not known what they ask for */
        bool refused; /* was told that the connection will be closed */
        struct queue out;
        struct frame_reader reader;
        struct world_request requests[WORLD_IDS];
};

/* As the monitor sees it. */
struct world_sandbox {
        uint64_t job; /* 0: free */
        bool ended;
        int fds[_CHANNEL_FD_COUNT];
};

struct world {
        struct input in;
        struct frontend *frontend;
        int channel; /* the monitor's end */
        uint32_t generation;
        bool stopped; /* the frontend was told to stop */
        struct world_client clients[WORLD_CLIENTS];
        struct world_sandbox sandboxes[WORLD_SANDBOXES];
        char jobs[WORLD_JOBS][RESULT_ID_TEXT_MAX]; /* ids that clients were told of */
        size_t n_jobs;
        int sockets[WORLD_SOCKETS]; /* that jobs have, and their clients received */
        size_t n_sockets;
};

/* The frontend works until it waits for somebody, and hears what the others say meanwhile. */
void world_turn(struct world *w);
/* A policy in a sealed memfd, which stays open. */
int world_policy(size_t i);

/* --- world-client.c: each does one thing that the input chooses */

void client_open(struct world *w, struct world_client *c);
void client_close(struct world_client *c);
void client_request(struct world *w, struct world_client *c);
void client_raw(struct world *w, struct world_client *c);
/* Gives the socket what it takes, and takes what has come. */
void client_step(struct world *w, struct world_client *c);

/* --- world-monitor.c */

/* Takes what the frontend has asked for. */
void monitor_step(struct world *w);
void monitor_sandbox(struct world *w);
void monitor_message(struct world *w);
/* Whatever of sandboxes is left. */
void monitor_done(struct world *w);
