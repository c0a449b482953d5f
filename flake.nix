{
  description = "slotproof: prove in virtual machines that a device survives its own updates";

  # No inputs: a check uses the host's programs in /usr/bin, those of a Debian with the packages that './run'
  # installs, so it needs nix's sandbox off. It also needs the system call filter off, since the image's root
  # has files of several groups; and, if run as root, no build users.
  #
  #   nix --extra-experimental-features 'nix-command flakes' --option sandbox false \
  #       --option build-users-group '' --option filter-syscalls false \
  #       build .#checks.x86_64-linux.rauc-slots --no-link -L
  outputs = { self }:
    let
      # A check for each reference test: those with the tag "nine".
      confs = builtins.filter (name: builtins.pathExists "${self}/tests/e2e/${name}/test.conf")
        (builtins.attrNames (builtins.readDir "${self}/tests/e2e"));
      isNine = name: builtins.match ".*\nTags=([^\n]* )?nine( [^\n]*)?\n.*"
        (builtins.readFile "${self}/tests/e2e/${name}/test.conf") != null;
      tests = builtins.filter isNine confs;
      # Without what was built in the checkout ("path:..."), which names another place.
      source = builtins.path {
        path = self.outPath;
        name = "slotproof-source";
        filter = path: type:
          !(builtins.elem path (map (name: "${self.outPath}/${name}") [ "build" "out" ".git" ]));
      };
      check = system: test: derivation {
        name = "slotproof-${test}";
        inherit system;
        builder = "/bin/sh";
        args = [
          "-euc"
          ''
            export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME="$NIX_BUILD_TOP" TMPDIR="$NIX_BUILD_TOP"
            cp -R ${source} source
            chmod -R u+w source
            cd source
            ./run ${test}
            mkdir "$out"
            cp out/junit.xml out/report.html "$out"
          ''
        ];
      };
      system = "x86_64-linux"; # the appliance's architecture
    in
    {
      checks.${system} = builtins.listToAttrs
        (map (test: { name = test; value = check system test; }) tests);
    };
}
