#!/usr/bin/env escript
%% -*- erlang -*-
%%! +S 2:2 +P 2000000 -noshell -kernel logger_level none
%% OTP's figures for the rows of the benchmark `supervision`: two schedulers, plain proc_lib
%% children, in a simple_one_for_one and in a one_for_one supervisor.
%% Usage: otp_figures.escript [SIZE...]      1, 1000 and 100000 children unless told otherwise
%%
%% A crash is measured from just before the message that makes the child crash until the first
%% thing that its next incarnation does. Medians; stop-all is the time of all children together.
-mode(compile).
-export([main/1, init/1, start_child/2, run/2]).

-define(BURST, 64).
%% How many crashes the supervisor remembers, about.
-define(CRASHES, 100).
%% A figure ends after this many samples, or after this time.
-define(SAMPLES, 20000).
-define(NANOSECONDS, 500000000).

main([]) -> main(["1", "1000", "100000"]);
main(["--bytes-per-child", Shape, Size]) ->
    process_flag(trap_exit, true),
    io:format("~p~n", [bytes(list_to_existing_atom(Shape), list_to_integer(Size))]);
main(Arguments) ->
    process_flag(trap_exit, true),
    ok = io:setopts([{encoding, unicode}]),
    ok = logger:set_primary_config(level, none),
    Sizes = [list_to_integer(Argument) || Argument <- Arguments],
    Columns = [[{{Figure, Shape}, Value} || Shape <- [simple_one_for_one, one_for_one],
                                            {Figure, Value} <- figures(Shape, Size)]
               || Size <- Sizes],
    io:format("Medians of Erlang/OTP ~s by number of children, two schedulers.~n",
              [erlang:system_info(otp_release)]),
    io:format("~-12s ~-19s", ["figure", "supervisor"]),
    [io:format(" ~12b", [Size]) || Size <- Sizes],
    io:format("  last/first~n"),
    [row(Key, [proplists:get_value(Key, Column) || Column <- Columns], Sizes)
     || {Key, _} <- lists:sort(hd(Columns)),
        lists:any(fun(Column) -> proplists:get_value(Key, Column) =/= none end, Columns)],
    ok.

row({Figure, Shape}, Values, Sizes) ->
    io:format("~-12s ~-19s", [Figure, Shape]),
    [io:format(" ~12ts", [show(Figure, Value)]) || Value <- Values],
    Children = case Figure of "stop-all" -> lists:last(Sizes) / hd(Sizes); _ -> 1 end,
    case {hd(Values), lists:last(Values)} of
        {First, Last} when is_number(First), is_number(Last), First > 0 ->
            io:format(" ~11.2f~n", [Last / First / Children]);
        _ -> io:format(" ~11s~n", ["-"])
    end.

show(_, none) -> "-";
show("bytes", Bytes) -> io_lib:format("~b B", [round(Bytes)]);
show(_, Time) when Time >= 1.0e9 -> io_lib:format("~.2f s", [Time / 1.0e9]);
show(_, Time) when Time >= 1.0e6 -> io_lib:format("~.2f ms", [Time / 1.0e6]);
show(_, Time) -> io_lib:format("~.2f ~ts", [Time / 1.0e3, [956, $s]]).

%% ------------------------------------------------------------------------------- the figures

figures(Shape, Size) ->
    Supervisor = fill(Shape, Size),
    Replaced = samples(fun(Index) -> replace(Shape, Supervisor, Index) end, Size),
    Replace = fun(At) -> median([element(At, Times) || Times <- Replaced]) end,
    Crashes = samples(fun(Index) -> crash(Supervisor, Index) end, Size),
    Same = samples(fun(_) -> crash(Supervisor, 0) end, Size),
    LookUps = case Shape of
        one_for_one -> samples(fun(Index) -> look_up(Supervisor, Index) end, Size);
        simple_one_for_one -> []
    end,
    Bursts = case Shape of
        simple_one_for_one -> samples(fun(_) -> burst(Supervisor) end, Size);
        one_for_one -> []
    end,
    Stops = [stop(Supervisor) | [stop(fill(Shape, Size)) || _ <- [1, 2]]],
    Delete = case Shape of one_for_one -> Replace(2); simple_one_for_one -> none end,
    [{"start", Replace(3)}, {"start x64", median(Bursts)}, {"crash", median(Crashes)},
     {"crash same", median(Same)}, {"lookup", median(LookUps)}, {"terminate", Replace(1)},
     {"delete", Delete}, {"stop-all", median(Stops)},
     {"bytes", bytes_in_another_process(Shape, Size)}].

%% Another child each time, far from the one before.
samples(Measure, Size) ->
    samples(Measure, Size, 0, ?SAMPLES, erlang:monotonic_time(nanosecond), []).

samples(_, _, _, 0, _, Times) -> Times;
samples(Measure, Size, Index, Left, Begun, Times) ->
    case erlang:monotonic_time(nanosecond) - Begun > ?NANOSECONDS andalso Times =/= [] of
        true -> Times;
        false ->
            Next = (Index + 7919) rem Size,
            samples(Measure, Size, Next, Left - 1, Begun, [Measure(Next) | Times])
    end.

median([]) -> none;
median(Times) -> lists:nth(length(Times) div 2 + 1, lists:sort(Times)).

timed(Act) ->
    Begun = erlang:monotonic_time(nanosecond),
    Result = Act(),
    {erlang:monotonic_time(nanosecond) - Begun, Result}.

%% Where the children are found is a table, so that the caller's heap does not grow with them:
%% its garbage collections would be measured too.
fill(Shape, Size) ->
    catch ets:delete(children),
    ets:new(children, [named_table, public]),
    {ok, Supervisor} = supervisor:start_link(?MODULE, {Shape, self()}),
    [begin start(Shape, Supervisor, Index), settle() end || Index <- lists:seq(0, Size - 1)],
    Supervisor.

%% A virtual machine that has measured before would find its memory there already.
bytes_in_another_process(_, 1) -> none;
bytes_in_another_process(Shape, Size) ->
    Arguments = ["--bytes-per-child", atom_to_list(Shape), integer_to_list(Size)],
    Command = lists:join($\s, ["escript", escript:script_name() | Arguments]),
    case string:to_integer(os:cmd(lists:flatten(Command))) of
        {Bytes, _} when is_integer(Bytes) -> Bytes;
        _ -> none
    end.

bytes(Shape, Size) ->
    {ok, Supervisor} = supervisor:start_link(?MODULE, {Shape, self()}),
    Before = resident_bytes(),
    [begin
         start(Shape, Supervisor, Index),
         receive {running, Index, _, _} -> ok end
     end || Index <- lists:seq(0, Size - 1)],
    round((resident_bytes() - Before) / Size).

resident_bytes() ->
    {ok, Rollup} = file:read_file("/proc/self/smaps_rollup"),
    {match, [Kilobytes]} =
        re:run(Rollup, "^Rss: *([0-9]+) kB", [multiline, {capture, all_but_first, list}]),
    list_to_integer(Kilobytes) * 1024.

replace(Shape, Supervisor, Index) ->
    [{Index, Pid}] = ets:lookup(children, Index),
    {Terminated, ok} = timed(fun() -> terminate(Shape, Supervisor, Index, Pid) end),
    {Deleted, ok} = timed(fun() -> delete(Shape, Supervisor, Index) end),
    {Started, _} = timed(fun() -> start(Shape, Supervisor, Index) end),
    settle(),
    {Terminated, Deleted, Started}.

start(simple_one_for_one, Supervisor, Index) ->
    {ok, _} = supervisor:start_child(Supervisor, [Index]);
start(one_for_one, Supervisor, Index) ->
    Start = {?MODULE, start_child, [self(), Index]},
    {ok, _} = supervisor:start_child(Supervisor, #{id => Index, start => Start}).

terminate(simple_one_for_one, Supervisor, _, Pid) -> supervisor:terminate_child(Supervisor, Pid);
terminate(one_for_one, Supervisor, Index, _) -> supervisor:terminate_child(Supervisor, Index).

delete(simple_one_for_one, _, _) -> ok;
delete(one_for_one, Supervisor, Index) -> supervisor:delete_child(Supervisor, Index).

%% OTP has no which_child before 28.5; get_childspec does the same search.
look_up(Supervisor, Index) ->
    {Time, {ok, _}} = timed(fun() -> supervisor:get_childspec(Supervisor, Index) end),
    Time.

%% At each restart OTP goes through the list of those within the period, a second at least. A
%% benchmark's would be far longer than any real one, and all that is measured, so it is emptied
%% now and then: by another process, since it is answered with a copy of the whole state.
crash(Supervisor, Index) ->
    case rand:uniform(?CRASHES) of
        1 ->
            Forget = fun() -> sys:replace_state(Supervisor, fun forget_restarts/1, infinity) end,
            {Process, Monitor} = spawn_monitor(Forget),
            receive {'DOWN', Monitor, process, Process, normal} -> ok end;
        _ -> ok
    end,
    [{Index, Pid}] = ets:lookup(children, Index),
    Begun = erlang:monotonic_time(nanosecond),
    Pid ! crash,
    settle() - Begun.

forget_restarts(State) ->
    Fields = [case Field of [At | _] when is_integer(At) -> []; _ -> Field end
              || Field <- tuple_to_list(State)],
    list_to_tuple(Fields).

burst(Supervisor) ->
    Self = self(),
    {Time, Pids} = timed(fun() ->
        Callers = [spawn_link(fun() -> Self ! {burst, self(), burst_start(Supervisor)} end)
                   || _ <- lists:seq(1, ?BURST)],
        [receive {burst, Caller, Pid} -> Pid end || Caller <- Callers]
    end),
    [receive {'EXIT', _, normal} -> ok end || _ <- Pids],
    [receive {running, outside, _, _} -> ok end || _ <- Pids],
    [ok = supervisor:terminate_child(Supervisor, Pid) || Pid <- Pids],
    Time / ?BURST.

burst_start(Supervisor) ->
    {ok, Pid} = supervisor:start_child(Supervisor, [outside]),
    Pid.

stop(Supervisor) ->
    {Time, _} = timed(fun() ->
        exit(Supervisor, shutdown),
        receive {'EXIT', Supervisor, _} -> ok end
    end),
    Time.

settle() ->
    receive
        {running, Index, Pid, At} -> ets:insert(children, {Index, Pid}), At
    end.

%% ------------------------------------------------------------------------------- the children

%% Neither a benchmark's crashes nor its restarts shall end the supervisor: a second's restarts
%% stay far below the intensity.
init({Shape, Told}) ->
    Flags = #{strategy => Shape, intensity => 10000000, period => 1},
    Child = #{id => child, start => {?MODULE, start_child, [Told]}},
    {ok, {Flags, [Child || Shape =:= simple_one_for_one]}}.

start_child(Told, Index) -> proc_lib:start_link(?MODULE, run, [Told, Index]).

run(Told, Index) ->
    At = erlang:monotonic_time(nanosecond),
    Told ! {running, Index, self(), At},
    proc_lib:init_ack({ok, self()}),
    receive crash -> exit(crash) end.
