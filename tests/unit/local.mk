# SPDX-License-Identifier: Apache-2.0
# Unit tests: one program a module, named after it. They need no privilege.
AM_TESTS_ENVIRONMENT = CK_DEFAULT_TIMEOUT=30; export CK_DEFAULT_TIMEOUT;

UNIT_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(SYSTEMD_CFLAGS) $(CAP_CFLAGS) $(SECCOMP_CFLAGS) \
	$(INIH_CFLAGS) $(PROTOBUF_C_CFLAGS) $(JANSSON_CFLAGS)

# What a test links, by the part that its module is in.
UNIT_COMMON_LIBS = common/libcommon.a $(CHECK_LIBS)
UNIT_PROTO_LIBS = proto/libproto.a $(UNIT_COMMON_LIBS) $(PROTOBUF_C_LIBS)
UNIT_WIRE_LIBS = daemon/wire/libwire.a $(UNIT_COMMON_LIBS)
UNIT_MONITOR_LIBS = daemon/monitor/libmonitor.a $(UNIT_WIRE_LIBS) \
	$(SYSTEMD_LIBS) $(CAP_LIBS) $(SECCOMP_LIBS) $(INIH_LIBS)
UNIT_FRONTEND_LIBS = daemon/frontend/libfrontend.a daemon/wire/libwire.a $(UNIT_PROTO_LIBS) \
	$(SYSTEMD_LIBS)
UNIT_BUS_LIBS = daemon/bus/libbus.a $(UNIT_COMMON_LIBS) $(SYSTEMD_LIBS)
UNIT_CLIENT_LIBS = client/ctl/libctl.a client/lib/libsandbox-core.la $(UNIT_COMMON_LIBS) \
	$(PROTOBUF_C_LIBS) $(JANSSON_LIBS)

check_PROGRAMS += \
	tests/unit/test-access \
	tests/unit/test-account \
	tests/unit/test-admission-queue \
	tests/unit/test-backlog \
	tests/unit/test-budget \
	tests/unit/test-bus-options \
	tests/unit/test-bus-relay \
	tests/unit/test-bus-text \
	tests/unit/test-cgroup-layout \
	tests/unit/test-client \
	tests/unit/test-client-fetch \
	tests/unit/test-client-job \
	tests/unit/test-client-request \
	tests/unit/test-client-watch \
	tests/unit/test-ctl-download \
	tests/unit/test-control \
	tests/unit/test-ctl-host \
	tests/unit/test-ctl-job-report \
	tests/unit/test-ctl-jobs \
	tests/unit/test-ctl-options \
	tests/unit/test-ctl-pipe \
	tests/unit/test-ctl-reach \
	tests/unit/test-ctl-report \
	tests/unit/test-event \
	tests/unit/test-feed \
	tests/unit/test-filter \
	tests/unit/test-frame \
	tests/unit/test-frontend \
	tests/unit/test-frontend-connection \
	tests/unit/test-frontend-files \
	tests/unit/test-frontend-reload \
	tests/unit/test-frontend-jobs \
	tests/unit/test-frontend-queue \
	tests/unit/test-frontend-ends \
	tests/unit/test-frontend-warm \
	tests/unit/test-frontend-watch \
	tests/unit/test-frontend-bus \
	tests/unit/test-watch-jobs \
	tests/unit/test-frontend-sockets \
	tests/unit/test-out-queue \
	tests/unit/test-own-filter \
	tests/unit/test-generation \
	tests/unit/test-io \
	tests/unit/test-job \
	tests/unit/test-job-filter \
	tests/unit/test-journal \
	tests/unit/test-limit \
	tests/unit/test-linger \
	tests/unit/test-listen \
	tests/unit/test-log \
	tests/unit/test-notify \
	tests/unit/test-operation \
	tests/unit/test-output \
	tests/unit/test-parse \
	tests/unit/test-pattern \
	tests/unit/test-plan \
	tests/unit/test-pool \
	tests/unit/test-policies \
	tests/unit/test-policy-load \
	tests/unit/test-policy \
	tests/unit/test-record \
	tests/unit/test-reload \
	tests/unit/test-result-message \
	tests/unit/test-results \
	tests/unit/test-return-value \
	tests/unit/test-scope \
	tests/unit/test-spares \
	tests/unit/test-spec \
	tests/unit/test-status \
	tests/unit/test-store \
	tests/unit/test-table \
	tests/unit/test-text \
	tests/unit/test-transfer \
	tests/unit/test-uid-pool \
	tests/unit/test-verdict

tests_unit_test_access_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_access_LDADD = $(UNIT_FRONTEND_LIBS)
tests_unit_test_account_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_account_LDADD = $(UNIT_FRONTEND_LIBS)
tests_unit_test_admission_queue_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_admission_queue_LDADD = $(UNIT_FRONTEND_LIBS)
tests_unit_test_backlog_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_backlog_LDADD = $(UNIT_MONITOR_LIBS)
tests_unit_test_budget_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_budget_LDADD = $(UNIT_PROTO_LIBS)
tests_unit_test_bus_options_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_bus_options_LDADD = daemon/bus/libbus.a client/lib/libsandbox-core.la $(UNIT_COMMON_LIBS) \
	$(SYSTEMD_LIBS) $(PROTOBUF_C_LIBS)
tests_unit_test_bus_relay_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_bus_relay_LDADD = $(UNIT_BUS_LIBS)
tests_unit_test_bus_text_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_bus_text_LDADD = $(UNIT_BUS_LIBS)
tests_unit_test_cgroup_layout_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_cgroup_layout_LDADD = $(UNIT_MONITOR_LIBS)
tests_unit_test_client_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_client_LDADD = $(UNIT_CLIENT_LIBS)
tests_unit_test_client_fetch_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_client_fetch_LDADD = $(UNIT_CLIENT_LIBS)
tests_unit_test_client_job_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_client_job_LDADD = $(UNIT_CLIENT_LIBS)
tests_unit_test_client_request_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_client_request_LDADD = $(UNIT_CLIENT_LIBS)
tests_unit_test_client_watch_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_client_watch_LDADD = $(UNIT_CLIENT_LIBS)
tests_unit_test_ctl_download_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_ctl_download_LDADD = $(UNIT_CLIENT_LIBS)
tests_unit_test_control_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_control_LDADD = $(UNIT_MONITOR_LIBS)
tests_unit_test_ctl_host_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_ctl_host_LDADD = $(UNIT_CLIENT_LIBS)
tests_unit_test_ctl_job_report_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_ctl_job_report_LDADD = $(UNIT_CLIENT_LIBS)
tests_unit_test_ctl_jobs_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_ctl_jobs_LDADD = $(UNIT_CLIENT_LIBS)
tests_unit_test_ctl_options_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_ctl_options_LDADD = $(UNIT_CLIENT_LIBS)
tests_unit_test_ctl_pipe_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_ctl_pipe_LDADD = $(UNIT_CLIENT_LIBS)
tests_unit_test_ctl_reach_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_ctl_reach_LDADD = $(UNIT_CLIENT_LIBS)
tests_unit_test_ctl_report_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_ctl_report_LDADD = $(UNIT_CLIENT_LIBS)
tests_unit_test_event_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_event_LDADD = $(UNIT_COMMON_LIBS)
tests_unit_test_feed_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_feed_LDADD = $(UNIT_FRONTEND_LIBS)
tests_unit_test_filter_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_filter_LDADD = $(UNIT_MONITOR_LIBS)
tests_unit_test_frame_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_frame_LDADD = $(UNIT_PROTO_LIBS)
tests_unit_test_frontend_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_frontend_LDADD = $(UNIT_FRONTEND_LIBS)
tests_unit_test_frontend_connection_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_frontend_connection_LDADD = $(UNIT_FRONTEND_LIBS)
tests_unit_test_frontend_jobs_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_frontend_jobs_LDADD = $(UNIT_FRONTEND_LIBS)
tests_unit_test_frontend_queue_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_frontend_queue_LDADD = $(UNIT_FRONTEND_LIBS)
tests_unit_test_frontend_ends_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_frontend_ends_LDADD = $(UNIT_FRONTEND_LIBS)
tests_unit_test_frontend_warm_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_frontend_warm_LDADD = $(UNIT_FRONTEND_LIBS)
tests_unit_test_frontend_watch_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_frontend_watch_LDADD = $(UNIT_FRONTEND_LIBS)
tests_unit_test_frontend_bus_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_frontend_bus_LDADD = $(UNIT_FRONTEND_LIBS)
tests_unit_test_watch_jobs_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_watch_jobs_LDADD = $(UNIT_FRONTEND_LIBS)
tests_unit_test_linger_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_linger_LDADD = $(UNIT_FRONTEND_LIBS)
tests_unit_test_out_queue_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_out_queue_LDADD = $(UNIT_FRONTEND_LIBS)
# Init is no library.
tests_unit_test_job_filter_SOURCES = tests/unit/test-job-filter.c daemon/init/job-filter.c
tests_unit_test_job_filter_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_job_filter_LDADD = $(UNIT_MONITOR_LIBS)
tests_unit_test_own_filter_SOURCES = tests/unit/test-own-filter.c daemon/init/own-filter.c
tests_unit_test_own_filter_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_own_filter_LDADD = $(UNIT_COMMON_LIBS)
tests_unit_test_frontend_sockets_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_frontend_sockets_LDADD = $(UNIT_FRONTEND_LIBS)
tests_unit_test_frontend_files_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_frontend_files_LDADD = $(UNIT_FRONTEND_LIBS)
tests_unit_test_frontend_reload_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_frontend_reload_LDADD = $(UNIT_FRONTEND_LIBS)
tests_unit_test_generation_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_generation_LDADD = $(UNIT_MONITOR_LIBS)
tests_unit_test_io_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_io_LDADD = $(UNIT_COMMON_LIBS)
tests_unit_test_job_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_job_LDADD = $(UNIT_FRONTEND_LIBS)
tests_unit_test_journal_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_journal_LDADD = $(UNIT_COMMON_LIBS)
tests_unit_test_limit_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_limit_LDADD = $(UNIT_COMMON_LIBS)
tests_unit_test_listen_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_listen_LDADD = $(UNIT_MONITOR_LIBS)
tests_unit_test_log_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_log_LDADD = $(UNIT_COMMON_LIBS)
tests_unit_test_notify_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_notify_LDADD = $(UNIT_MONITOR_LIBS)
tests_unit_test_operation_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_operation_LDADD = $(UNIT_MONITOR_LIBS)
tests_unit_test_output_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_output_LDADD = $(UNIT_FRONTEND_LIBS)
tests_unit_test_parse_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_parse_LDADD = $(UNIT_COMMON_LIBS)
tests_unit_test_pattern_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_pattern_LDADD = $(UNIT_COMMON_LIBS)
tests_unit_test_pool_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_pool_LDADD = $(UNIT_MONITOR_LIBS)
tests_unit_test_plan_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_plan_LDADD = $(UNIT_FRONTEND_LIBS)
tests_unit_test_policies_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_policies_LDADD = $(UNIT_FRONTEND_LIBS)
tests_unit_test_policy_load_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_policy_load_LDADD = $(UNIT_MONITOR_LIBS)
tests_unit_test_policy_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_policy_LDADD = $(UNIT_COMMON_LIBS)
tests_unit_test_record_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_record_LDADD = $(UNIT_FRONTEND_LIBS)
tests_unit_test_reload_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_reload_LDADD = $(UNIT_MONITOR_LIBS)
tests_unit_test_result_message_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_result_message_LDADD = $(UNIT_FRONTEND_LIBS)
tests_unit_test_results_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_results_LDADD = $(UNIT_FRONTEND_LIBS)
tests_unit_test_return_value_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_return_value_LDADD = $(UNIT_FRONTEND_LIBS)
tests_unit_test_scope_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_scope_LDADD = $(UNIT_MONITOR_LIBS)
tests_unit_test_spares_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_spares_LDADD = $(UNIT_MONITOR_LIBS)
tests_unit_test_spec_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_spec_LDADD = $(UNIT_WIRE_LIBS)
tests_unit_test_status_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_status_LDADD = $(UNIT_COMMON_LIBS)
tests_unit_test_store_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_store_LDADD = $(UNIT_FRONTEND_LIBS)
tests_unit_test_table_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_table_LDADD = $(UNIT_FRONTEND_LIBS)
tests_unit_test_text_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_text_LDADD = $(UNIT_FRONTEND_LIBS)
tests_unit_test_transfer_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_transfer_LDADD = $(UNIT_WIRE_LIBS)
tests_unit_test_uid_pool_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_uid_pool_LDADD = $(UNIT_MONITOR_LIBS)
tests_unit_test_verdict_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_verdict_LDADD = $(UNIT_MONITOR_LIBS)

UNIT_SH = tests/unit/test-layers.sh tests/unit/test-style.sh
TESTS += $(check_PROGRAMS) $(UNIT_SH)
check_SCRIPTS += $(UNIT_SH)
EXTRA_DIST += $(UNIT_SH)
noinst_HEADERS += tests/unit/fixture-daemon.h tests/unit/fixture-frontend.h tests/unit/fixture-generation.h \
	tests/unit/fixture-jobs.h tests/unit/fixture-pid1.h tests/unit/fixture-policy.h
