#!/usr/bin/env escript
%% -*- erlang -*-
%%! +S 2:2 -noshell -kernel logger_level error
%% Runs scripts of supervisor operations on the real OTP supervisor and prints a canonical,
%% timing-free trace.  Usage:
%%   escript otp_trace.escript FILE...          one script per file
%%   escript otp_trace.escript -                server mode: scripts on stdin, each closed by a line
%%                                              "run."; each trace closed by a line "end"
%%   escript otp_trace.escript --fuzz SEED N          N random scripts, each printed with its trace
%%   escript otp_trace.escript --fuzz-simple SEED N   the same for simple_one_for_one
%%   escript otp_trace.escript --otp            prints OTP's release, for instance 25
%% Script = Erlang terms, one per line:
%%   {sup, Flags, [Spec]}.     Flags = #{strategy,intensity,period,auto_shutdown}
%%   Spec = #{id, restart, shutdown, type, significant, obey => obey|hang|other,
%%            plan => [ok|ignore|{error,atom}|...] , flags/children (when type=>supervisor)}
%%   {op, Op}.                 see do_op/1
-mode(compile).
-export([main/1, init/1, start/2, start_simple/3, child/5, log/2]).

main(["-"]) -> setup(), server([]);
main(["--otp"]) -> io:format("~s~n", [erlang:system_info(otp_release)]);
main(["--fuzz", Seed, N]) -> setup(), fuzz(list_to_integer(Seed), list_to_integer(N), fun gen/0);
main(["--fuzz-simple", Seed, N]) -> setup(), fuzz(list_to_integer(Seed), list_to_integer(N), fun gen_simple/0);
main(Files) -> setup(), [begin {ok, T} = file:consult(F), io:format("# ~s~n", [F]), run(T) end || F <- Files], ok.

setup() ->
    process_flag(trap_exit, true),
    logger:remove_handler(default),
    ok = logger:add_handler(tr, ?MODULE, #{level => error}).

server(Acc) ->
    case io:read(standard_io, '') of
        eof -> ok;
        {ok, run} -> run(lists:reverse(Acc)), io:format("end~n"), server([]);
        {ok, T} -> server([T | Acc])
    end.

%% ---------------------------------------------------------------- event log (total causal order)
%% Own events are stamped with the pair used by strict_monotonic_timestamp, so they merge with trace
%% 'exit' events of children (the only way to see the death of a killed child) into one order.
stamp() -> {erlang:monotonic_time(nanosecond), erlang:unique_integer([monotonic])}.
ev(E) -> ets:insert(ev, {stamp(), E}), ok.

log(#{msg := {report, #{label := {supervisor, Ctx}, report := R}}}, _) when Ctx =/= progress ->
    Off = proplists:get_value(offender, R, []),
    case proplists:get_value(supervisor, R) of
        {Pid, _} -> catch ev({report, path_of(Pid), Ctx, proplists:get_value(id, Off), norm(proplists:get_value(reason, R))});
        _ -> ok
    end;
log(_, _) -> ok.

%% ---------------------------------------------------------------- supervised things
init({Path, Flags, Specs}) ->
    ets:insert(pid, {self(), Path}),
    {ok, {Flags, [spec(Path, S) || S <- Specs]}}.

%% ETS 'plan': {Path, [Outcome]} consumed one per start; empty = ok.
spec(Parent, #{id := Id} = S) ->
    Path = Parent ++ [Id],
    case S of #{plan := P} -> ets:insert(plan, {Path, P}); _ -> ok end,
    M = maps:with([id, restart, shutdown, type, significant], S),
    case maps:get(simple, S, false) of
        true -> M#{start => {?MODULE, start_simple, [Path, S]}, modules => [x]};
        false -> M#{start => {?MODULE, start, [Path, S]}, modules => [x]}
    end.

start_simple(Parent, S, K) -> start(Parent ++ [K], S).

start(Path, S) ->
    N = ets:update_counter(cnt, Path, 1, {Path, 0}),
    Out = case ets:lookup(plan, Path) of
              [{_, [H | T]}] -> ets:insert(plan, {Path, T}), H;
              _ -> ok
          end,
    L = {Path, N},
    case Out of
        ok -> start_ok(L, S);
        ignore -> ev({start, L, ignore}), ignore;
        {error, R} -> ev({start, L, {error, R}}), {error, R};
        crash -> ev({start, L, crash}), erlang:error(start_crash)
    end.

start_ok({Path, _} = L, #{type := supervisor} = S) ->
    ev({start, L, sup}),
    F = maps:get(flags, S, #{}), Cs = maps:get(children, S, []),
    case supervisor:start_link(?MODULE, {Path, F, Cs}) of
        {ok, P} -> watch(P, L), {ok, P};
        E -> ev({start_failed, L, norm(E)}), E
    end;
start_ok(L, S) ->
    proc_lib:start_link(?MODULE, child, [self(), L, maps:get(obey, S, obey), maps:get(trap, S, true), watcher()]).

child(Parent, L, Obey, Trap, W) ->
    process_flag(trap_exit, Trap),
    watch(self(), L, W),
    ev({start, L, ok}),
    proc_lib:init_ack(Parent, {ok, self()}),
    loop(Parent, L, Obey).

loop(Parent, L, Obey) ->
    receive
        {crash, R} -> exit(R);
        {'EXIT', Parent, R} ->
            case Obey of
                obey -> exit(R);
                other -> exit(other);
                hang -> ev({hung, L, norm(R)}), receive never -> ok end
            end;
        _ -> loop(Parent, L, Obey)
    end.

watcher() -> [{w, W}] = ets:lookup(pid, w), W.
watch(P, L) -> watch(P, L, watcher()).
watch(P, L, W) ->
    ets:insert(pid, {P, L}),
    erlang:trace(P, true, [procs, strict_monotonic_timestamp, {tracer, W}]).

%% collects 'exit' trace events
collector() ->
    receive
        {trace_ts, P, exit, R, Ts} ->
            case ets:lookup(pid, P) of
                [{_, L}] -> ets:insert(ev, {Ts, {exit, L, norm(R)}});
                _ -> ok
            end, collector();
        {sync, From, Ref} -> From ! Ref, collector();
        quit -> ok;
        _ -> collector()
    end.

%% ---------------------------------------------------------------- running a script
run([{sup, Flags, Specs} | Ops]) ->
    [ets:new(T, [named_table, public, ordered_set]) || T <- [ev, cnt, plan, pid]],
    W = spawn(fun collector/0), ets:insert(pid, {w, W}),
    Res = supervisor:start_link(?MODULE, {[root], Flags, Specs}),
    case Res of {ok, P} -> ets:insert(pid, {root, P}), watch(P, {[root], 1}); _ -> ok end,
    flush_trace(W),
    io:format("op 0 start_link~n"), dump(), io:format("ret 0 ~s~n", [fmt(norm_ret(Res))]), snapshot(),
    lists:foldl(fun({op, Op}, I) -> one(I, Op, W), I + 1 end, 1, Ops),
    case root() of
        undefined -> ok;
        R -> unlink(R), exit(R, kill),  % tear down whatever is left, untraced
             [exit(Pd, kill) || {Pd, _} <- ets:tab2list(pid), is_pid(Pd)]
    end,
    W ! quit,
    [ets:delete(T) || T <- [ev, cnt, plan, pid]],
    drain().

drain() -> receive _ -> drain() after 0 -> ok end.
root() -> case ets:lookup(pid, root) of [{_, P}] -> case is_process_alive(P) of true -> P; false -> undefined end; [] -> undefined end.

one(I, Op, W) ->
    io:format("op ~b ~s~n", [I, fmt_op(Op)]),
    Ret = try do_op(Op) catch exit:{noproc, _} -> noproc; exit:noproc -> noproc; exit:{R, _} -> {died, norm(R)} end,
    quiesce(0),
    flush_trace(W),
    dump(),
    io:format("ret ~b ~s~n", [I, fmt(norm_ret(Ret))]),
    snapshot().

%% Quiescence: the supervisor answers a call only after every EXIT already in its mailbox has been
%% dealt with; 'restarting' children mean a try_again cast is in flight, so ask again.  Ends because
%% each failed attempt eats restart intensity.  Walks nested supervisors top-down, twice.
quiesce(N) when N > 10000 -> io:format("ev livelock~n");
quiesce(N) ->
    flush_trace(watcher()),
    case root() of
        undefined -> ok;
        P -> case catch busy(P) of
                 false when N >= 3 -> ok;
                 true -> timer:sleep(1), quiesce(N + 1);
                 _ -> quiesce(N + 1)
             end
    end.
busy(P) ->
    Ch = supervisor:which_children(P),
    lists:any(fun({_, restarting, _, _}) -> true;
                 ({_, C, supervisor, _}) when is_pid(C) -> is_process_alive(C) =:= false orelse busy(C);
                 ({_, C, _, _}) when is_pid(C) -> is_process_alive(C) =:= false;
                 (_) -> false end, Ch).

flush_trace(W) ->
    Ref0 = erlang:trace_delivered(all), receive {trace_delivered, all, Ref0} -> ok end,
    Ref = make_ref(), W ! {sync, self(), Ref}, receive Ref -> ok end.

find([root]) -> root();
find(Path) ->
    {Par, [Id]} = lists:split(length(Path) - 1, Path),
    case find(Par) of
        P when is_pid(P) ->
            Ch = supervisor:which_children(P),
            case [C || {I, C, _, _} <- Ch, I =:= Id, is_pid(C)] of
                [C] -> C;
                [] -> case [C || {undefined, C, _, _} <- Ch, is_pid(C), label_path(C) =:= simple_path(Par, Id, P)] of [C] -> C; _ -> undefined end
            end;
        _ -> undefined
    end.
label_path(C) -> case ets:lookup(pid, C) of [{_, {Pa, _}}] -> Pa; [{_, Pa}] -> Pa; _ -> undefined end.
simple_path(Par, K, P) -> {ok, #{id := I}} = first_spec(P), Par ++ [I, K].
first_spec(P) -> S = element(4, sys:get_state(P)), {[I], _} = S, {ok, #{id => I}}.
path_of(Pid) -> label_path(Pid).

need(Path) -> case find(Path) of undefined -> exit(noproc); P -> P end.

do_op({start_child, Sup, #{id := _} = S}) -> supervisor:start_child(need(Sup), spec(Sup, S));
do_op({start_child, Sup, K}) -> supervisor:start_child(need(Sup), [K]);
do_op({terminate_child, Sup, {dyn, K}}) -> supervisor:terminate_child(need(Sup), need(Sup ++ [K]));
do_op({terminate_child, Sup, Id}) -> supervisor:terminate_child(need(Sup), Id);
do_op({restart_child, Sup, Id}) -> supervisor:restart_child(need(Sup), Id);
do_op({delete_child, Sup, Id}) -> supervisor:delete_child(need(Sup), Id);
do_op({get_childspec, Sup, Id}) -> supervisor:get_childspec(need(Sup), Id);
do_op({plan, Path, P}) -> ets:insert(plan, {Path, P}), ok;
do_op({crash, Path, R}) -> crash(need(Path), R);
do_op({crash_all, Sup, Paths, R}) ->  % several deaths seen by the supervisor as one batch, in list order
    S = need(Sup), ok = sys:suspend(S),
    Ps = [find_suspended(Sup, P) || P <- Paths],
    Rs = [begin crash(P, R), queued(S, P) end || P <- Ps, is_pid(P)], sys:resume(S), {crashed, length(Rs)};
do_op({stop, Reason}) ->
    P = need([root]), M = monitor(process, P), exit(P, Reason), receive {'DOWN', M, _, _, R} -> {stopped, norm(R)} end.

%% a suspended supervisor cannot be asked: go through the pid table (latest live pid with that path)
find_suspended(_, Path) ->
    L = [{N, P} || {P, {Pa, N}} <- ets:tab2list(pid), is_pid(P), Pa =:= Path, is_process_alive(P)],
    case lists:reverse(lists:sort(L)) of [{_, P} | _] -> P; [] -> undefined end.

crash(P, R) ->
    M = monitor(process, P),
    case R of kill -> exit(P, kill); _ -> P ! {crash, R} end,
    receive {'DOWN', M, _, _, _} -> ok after 2000 -> timeout end.

%% Our 'DOWN' doesn't prove that the supervisor has its 'EXIT' yet.  The link goes when it has.
queued(S, P) ->
    {links, Links} = process_info(S, links),
    case lists:member(P, Links) andalso not is_process_alive(P) of
        true -> erlang:yield(), queued(S, P);
        false -> ok
    end.

%% ---------------------------------------------------------------- printing
dump() ->
    Es = [E || {_, E} <- ets:tab2list(ev)],
    ets:delete_all_objects(ev),
    [io:format("ev ~s~n", [fmt(E)]) || E <- batch(Es)].

%% Runs of child exits under a simple_one_for_one supervisor have no defined order: sort them.
batch(Es) -> batch(Es, []).
batch([E | T], A) ->
    case dynamic(E) of true -> batch(T, [E | A]); false -> lists:sort(A) ++ [E | batch(T, [])] end;
batch([], A) -> lists:sort(A).
%% Their last id is an integer, wherever in the tree their supervisor stands.
dynamic({What, {Path, _}, _}) when What =:= exit; What =:= hung -> is_integer(lists:last(Path));
dynamic(_) -> false.

snapshot() ->
    case root() of undefined -> io:format("st root down~n"); P -> snap([root], P) end.
snap(Path, P) ->
    case catch {supervisor:which_children(P), supervisor:count_children(P)} of
        {'EXIT', _} -> io:format("st ~s down~n", [p(Path)]);
        {Ch, Cnt} ->
            Ch1 = [{I, st(C), T, C} || {I, C, T, _} <- Ch],
            Ch2 = case Ch of  % which_children order is undefined under simple_one_for_one: sort by label
                      [{undefined, _, _, _} | _] -> [X || {_, X} <- lists:sort([{label_path(C), X} || {_, _, _, C} = X <- Ch1])];
                      _ -> Ch1
                  end,
            io:format("st ~s [~s] ~s~n", [p(Path), lists:join(" ", [io_lib:format("~s=~s", [id(I, C), S]) || {I, S, _, C} <- Ch2]),
                                       lists:join(",", [io_lib:format("~p:~p", [K, V]) || {K, V} <- Cnt])]),
            [snap(Path ++ [I], C) || {I, _, supervisor, C} <- Ch2, is_pid(C), I =/= undefined]
    end.
id(undefined, C) when is_pid(C) -> io_lib:format("~w", [lists:last(label_path(C))]);
id(I, _) -> io_lib:format("~w", [I]).
st(C) when is_pid(C) -> case ets:lookup(pid, C) of [{_, {_, N}}] -> "run#" ++ integer_to_list(N); [{_, Pa}] -> "run#" ++ integer_to_list(cnt(Pa)) end;
st(X) -> atom_to_list(X).
cnt(Pa) -> case ets:lookup(cnt, Pa) of [{_, N}] -> N; _ -> 1 end.

norm(X) when is_atom(X) -> X;
norm({shutdown, T}) -> {shutdown, norm(T)};
norm({failed_to_start_child, Id, R}) -> {failed_to_start_child, Id, norm(R)};
norm({error, R}) -> {error, norm(R)};
norm({R, St}) when is_list(St) -> norm(R);
norm({'EXIT', R}) -> norm(R);
norm(_) -> other_term.
norm_ret({ok, P}) when is_pid(P) -> ok_pid;
norm_ret({ok, undefined}) -> ok_undefined;
norm_ret({ok, #{id := _} = M}) -> {spec, maps:get(id, M), maps:get(restart, M), maps:get(shutdown, M), maps:get(type, M), maps:get(significant, M)};
norm_ret({error, {already_started, _}}) -> {error, already_started};
norm_ret({error, {What, C}}) when element(1, C) =:= child -> {error, {start, norm(What)}};
norm_ret({error, {shutdown, R}}) -> {error, {shutdown, norm(R)}};
norm_ret({error, {bad_combination, _}}) -> {error, bad_combination};
norm_ret({error, {'EXIT', R}}) -> {error, {start, norm(R)}};
norm_ret({error, {K, _}}) when is_atom(K) -> {error, K};
norm_ret({error, R}) -> {error, norm(R)};
norm_ret(X) -> X.

p(Path) -> lists:join("/", [io_lib:format("~w", [X]) || X <- Path]).
fmt({start, {P, N}, O}) -> io_lib:format("start ~s#~b ~w", [p(P), N, O]);
fmt({start_failed, {P, N}, O}) -> io_lib:format("start_failed ~s#~b ~w", [p(P), N, O]);
fmt({exit, {P, N}, R}) -> io_lib:format("exit ~s#~b ~w", [p(P), N, R]);
fmt({hung, {P, N}, R}) -> io_lib:format("hung ~s#~b ~w", [p(P), N, R]);
fmt({report, S, C, Id, R}) -> io_lib:format("report ~s ~w ~w ~w", [p(S), C, Id, R]);
fmt(X) -> io_lib:format("~w", [X]).
fmt_op(Op) -> w(Op).
%% ~w with the keys of maps in term order, which ~w itself keeps in OTP 25 but not in 26 and later.
w(M) when is_map(M) -> ["#{", lists:join(",", [[w(K), " => ", w(V)] || {K, V} <- lists:sort(maps:to_list(M))]), "}"];
w(T) when is_tuple(T) -> ["{", lists:join(",", [w(E) || E <- tuple_to_list(T)]), "}"];
w(L) when is_list(L) -> ["[", lists:join(",", [w(E) || E <- L]), "]"];
w(X) -> io_lib:format("~w", [X]).

%% ---------------------------------------------------------------- random scripts
fuzz(Seed, N, Gen) -> rand:seed(exsss, Seed), [begin S = Gen(), io:format("# script ~b~n", [K]), [io:format("~w.~n", [T]) || T <- S], run(S) end || K <- lists:seq(1, N)], ok.
pick(L) -> lists:nth(rand:uniform(length(L)), L).
gen() ->
    St = pick([one_for_one, one_for_all, rest_for_one]), Au = pick([never, never, any_significant, all_significant]),
    Ids = [a, b, c, d],
    Sp = fun(I) -> R = pick([permanent, transient, temporary]), Sh = pick([brutal_kill, 30, infinity]),
              Ob = case Sh of 30 -> pick([obey, obey, other, hang]); _ -> pick([obey, obey, other]) end,
              #{id => I, restart => R, shutdown => Sh, type => worker,
                obey => Ob, significant => (Au =/= never) andalso R =/= permanent andalso pick([true, false])} end,
    F = #{strategy => St, intensity => pick([0, 2, 6, 20]), period => 3600, auto_shutdown => Au},
    Init = [Sp(I) || I <- lists:sublist(Ids, pick([1, 2, 3]))],
    Op = fun() -> I = pick(Ids), case rand:uniform(9) of
              1 -> {start_child, [root], Sp(I)}; 2 -> {terminate_child, [root], I}; 3 -> {restart_child, [root], I};
              4 -> {delete_child, [root], I}; 5 -> {plan, [root, I], [pick([ok, ignore, {error, nope}, crash]) || _ <- lists:seq(1, pick([1, 2]))]};
              6 -> {crash_all, [root], [[root, X] || X <- lists:sublist(Ids, pick([1, 2, 3, 4]))], pick([normal, boom])};
              _ -> {crash, [root, I], pick([normal, shutdown, {shutdown, x}, boom, kill])} end end,
    [{sup, F, Init}] ++ [{op, Op()} || _ <- lists:seq(1, pick([4, 8, 12]))] ++ [{op, {stop, shutdown}}].
gen_simple() ->
    R = pick([permanent, transient, temporary]), Sh = pick([brutal_kill, 30, infinity]),
    Ob = case Sh of 30 -> pick([obey, obey, other, hang]); _ -> pick([obey, obey, other]) end,
    F = #{strategy => simple_one_for_one, intensity => pick([0, 2, 6, 20]), period => 3600},
    Sp = #{id => sess, restart => R, shutdown => Sh, type => worker, obey => Ob, simple => true},
    put(k, 0),
    New = fun() -> put(k, get(k) + 1), {start_child, [root], get(k)} end,
    Some = fun() -> rand:uniform(max(1, get(k))) end,
    Op = fun() -> case rand:uniform(9) of
              X when X =< 3 -> New();
              4 -> {terminate_child, [root], {dyn, Some()}};
              5 -> {plan, [root, sess, Some() + rand:uniform(2) - 1], [pick([ok, {error, nope}, crash]) || _ <- lists:seq(1, pick([1, 2]))]};
              6 -> {crash_all, [root], lists:usort([[root, sess, Some()] || _ <- lists:seq(1, pick([1, 2, 4]))]), pick([normal, boom])};
              7 -> {element(rand:uniform(2), {restart_child, delete_child}), [root], sess};
              _ -> {crash, [root, Some()], pick([normal, shutdown, {shutdown, x}, boom, kill])} end end,
    [{sup, F, [Sp]}, {op, New()}, {op, New()}] ++ [{op, Op()} || _ <- lists:seq(1, pick([6, 12, 18]))] ++ [{op, {stop, shutdown}}].
